#!/usr/bin/env bash
# Runs one fuzzer with a process per core until all of them together have tried EXECUTIONS inputs.
#   run_fuzzer.sh PROGRAM EXECUTIONS SECONDS OUT
# Writes OUT/NAME/: a log per process, and every input that made the program fail. Prints one line. Fails when an
# input did, or when SECONDS were too few. What stands in LAUNCHER (a program and its arguments) starts PROGRAM.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$1 executions=$2 seconds=$3
name=$(basename "$program")
out=$4/$name
read -r -a launcher <<<"${LAUNCHER:-}"
processes=$(nproc)
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
mkdir -p "$out"
cat "$here/dictionaries/json.dict" "$here/dictionaries/$name.dict" >"$out/dictionary"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=print_stacktrace=1

begin=$SECONDS
pids=()
for ((i = 1; i <= processes; ++i)); do
  "${launcher[@]}" "$program" -seed="$i" -runs=$(((executions + processes - 1) / processes)) \
    -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -dict="$out/dictionary" -artifact_prefix="$out/" "$found" "$here/corpus/$name" >"$out/$i.log" 2>&1 &
  pids+=($!)
done
failures=0
for pid in "${pids[@]}"; do wait "$pid" || failures=$((failures + 1)); done

tried=$(sed -n "s/^stat::number_of_executed_units: *//p" "$out"/*.log | awk "{ sum += \$1 } END { print sum + 0 }")
covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out"/*.log | sort -n | tail -1)
printf '%-20s %12d inputs %6d s  %6s branches  %d failed of %d processes\n' \
  "$name" "$tried" $((SECONDS - begin)) "${covered:-0}" "$failures" "$processes"
[ "$failures" -eq 0 ] && [ "$tried" -ge "$executions" ]
