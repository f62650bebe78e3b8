#!/usr/bin/env bash
# From a bare Debian 12 to all tests run: installs, builds and tests. Safe to repeat.
#   tools/test.sh                    the release build, every test
#   tools/test.sh PRESET [ctest ...] another preset (debug, asan, tsan, no-torch), e.g. asan -L fast
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-release}
shift || true
tools/install_packages.sh tools/packages.txt tools/test_packages.txt
if tools/install_duckdb.sh "$PWD/build/programs"; then
  export VERNIER_DUCKDB=$PWD/build/programs/duckdb
else
  echo "DuckDB's program cannot be had: tests that read Parquet are skipped" >&2
fi
if tools/install_mlx.sh "$PWD/build/programs/mlx"; then
  export VERNIER_MLX=$PWD/build/programs/mlx
else
  echo "MLX cannot be had: the test that decodes with it is skipped" >&2
fi
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" --parallel "$(nproc)" "$@"
