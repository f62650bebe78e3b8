#!/usr/bin/env bash
# check_types.sh PYTHON CACHE: the package and a program that uses it, as mypy --strict sees them. 77: there is no mypy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! "$1" -c 'import mypy' 2>/dev/null; then
  echo "skipped: mypy is not installed"
  exit 77
fi
# The feature is on by default in newer ones.
exec "$1" -m mypy --enable-incomplete-feature=Unpack --cache-dir "$2" python/vernier tests/python/typed_use.py
