#!/usr/bin/env bash
# What building costs at two commits, in CPU seconds (user and system) of this machine: a clean build
# of target vernier, everything else (tests and benchmarks), and vernier again after a change of one
# source of calib/. Both commits are built in turn, in working trees below FOLDER that are removed.
#   bench/build_time.sh BEFORE AFTER [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

before=$(git rev-parse --verify "$1^{commit}")
after=$(git rev-parse --verify "$2^{commit}")
folder=$(mktemp -d ${3:+--tmpdir="$3"})
changed=calib/layer_loop.cc

remove_trees() {
  git worktree remove --force "$folder/before" 2> /dev/null || true
  git worktree remove --force "$folder/after" 2> /dev/null || true
  rm -rf "$folder"
}
trap remove_trees EXIT

# measure NAME COMMAND...: the command's CPU and wall seconds go to the file NAME.
measure() {
  local name=$1 TIMEFORMAT='%U %S %R'
  shift
  { time "$@" > "$folder/log" 2>&1 || { tail -n 40 "$folder/log" >&3; exit 1; }; } 3>&2 2> "$folder/$name"
}

build_tree() {
  local tree=$folder/$1
  git worktree add --quiet --detach "$tree" "$2"
  cmake --preset release -S "$tree" > "$folder/log"
  measure "$1.vernier" cmake --build "$tree/build/release" --target vernier
  measure "$1.others" cmake --build "$tree/build/release"
  touch "$tree/$changed"
  measure "$1.change" cmake --build "$tree/build/release" --target vernier
}

print_row() {
  awk -v what="$1" '
    { cpu[NR] = $1 + $2; wall[NR] = $3 }
    END { printf "%-30s %9.1f %9.1f %7.2f %9.1f %9.1f\n",
                 what, cpu[1], cpu[2], cpu[2] / cpu[1], wall[1], wall[2] }
  ' "$folder/before.$2" "$folder/after.$2"
}

build_tree before "$before"
build_tree after "$after"
printf '%-30s %9s %9s %7s %9s %9s\n' '' 'CPU s' 'after' 'ratio' 'wall s' 'after'
print_row 'vernier, clean' vernier
print_row 'tests and benchmarks' others
print_row "vernier after $changed" change
