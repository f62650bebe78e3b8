#!/usr/bin/env bash
# Installs MLX, with which a test decodes what Vernier writes, in the version of mlx.txt. Safe to repeat.
# Needs Python's pip (Debian's python3-pip).
#   tools/install_mlx.sh DIR   into DIR, for PYTHONPATH; name DIR in VERNIER_MLX for the tests
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

folder=${1:?usage: tools/install_mlx.sh DIR}
version=$(sed -n 's/^mlx==\([^ ]*\).*/\1/p' "$here/mlx.txt")
[ ! -d "$folder/mlx-$version.dist-info" ] || exit 0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --no-cache-dir --no-deps \
  --only-binary :all: --require-hashes --requirement "$here/mlx.txt" --target "$scratch/mlx"
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv "$scratch/mlx" "$folder"
