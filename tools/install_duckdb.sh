#!/usr/bin/env bash
# Installs DuckDB's program, with which Vernier reads Parquet files, in the version of duckdb.txt. Safe to repeat.
# Needs Python's pip (Debian's python3-pip).
#   tools/install_duckdb.sh [DIR]   into DIR instead of /usr/local/bin (then put DIR on PATH, or name DIR/duckdb in
#                                   VERNIER_DUCKDB)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=${1:-/usr/local/bin}/duckdb
version=$(sed -n 's/^duckdb-cli==\([^ ]*\).*/\1/p' "$here/duckdb.txt")
case "$("$program" -version 2>/dev/null || true)" in "v$version "*) exit 0 ;; esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --no-cache-dir --no-deps \
  --only-binary :all: --require-hashes --requirement "$here/duckdb.txt" --target "$scratch"
install -D -m 755 "$scratch/duckdb_cli/duckdb" "$program.new"
mv "$program.new" "$program"
