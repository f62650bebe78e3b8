#!/usr/bin/env bash
# From a bare Debian 12 to fuzzed parsers: installs, builds and runs the fuzzers of tests/fuzz. Safe to repeat.
#   tools/fuzz.sh [EXECUTIONS [FUZZER ...]]   inputs for each fuzzer (10,000,000), fuzzers by name (all)
# Logs, and the inputs that failed, are in build/fuzz/runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

executions=${1:-10000000}
shift || true
fuzzers=("$@")
[ ${#fuzzers[@]} -gt 0 ] || mapfile -t fuzzers < <(cd tests/fuzz/corpus && printf '%s\n' *)
tools/install_packages.sh tools/packages.txt tools/fuzz_packages.txt
cmake --preset fuzz
cmake --build --preset fuzz

day=86400
status=0
for fuzzer in "${fuzzers[@]}"; do
  tests/fuzz/run_fuzzer.sh "build/fuzz/tests/fuzz/$fuzzer" "$executions" $day build/fuzz/runs || status=1
done
exit $status
