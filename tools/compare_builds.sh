#!/usr/bin/env bash
# Shows that two builds write the same bytes: every shipped recipe is run with both, and every file that they write is
# compared. A change of structure must end with "all the same"; what a recipe refuses, both must refuse alike.
#   tools/compare_builds.sh OLD NEW [MODEL ...]   OLD, NEW: programs named vernier (or trees with one in build/release)
#                                                 MODEL: checkpoints; the example without any
#   SAMPLES, SEQUENCE_LENGTH (8, 256): how much of the example's text is calibrated with
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

program() { if [ -d "$1" ]; then echo "$1/build/release/tools/vernier"; else echo "$1"; fi; }
old=$(realpath "$(program "$1")")
new=$(realpath "$(program "$2")")
shift 2
[ $# -gt 0 ] || set -- "$here/examples/mini-deepseek-v4"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Both write to the same path, one after the other: manifests name it.
run() {  # PROGRAM RECIPE MODEL NAME
  rm -rf "$scratch/output" "$scratch/run"
  "$1" run "$2" --progress none --source "$3" --output "$scratch/output" --run-dir "$scratch/run" \
    --data "$here/datasets/samples/postgresql-sqlite-docs.jsonl" --samples "${SAMPLES:-8}" \
    --sequence-length "${SEQUENCE_LENGTH:-256}" >"$scratch/stdout" 2>"$scratch/$4.error" || echo "exit $?" >>"$scratch/$4.error"
  rm -rf "${scratch:?}/$4"
  mkdir -p "$scratch/output"
  mv "$scratch/output" "$scratch/$4"
}

different=0
for model in "$@"; do
  for recipe in "$here"/recipes/*.json; do
    case $recipe in *.schema.json) continue ;; esac
    name="$(basename "$recipe" .json) of $(basename "$model")"
    run "$old" "$recipe" "$model" old
    run "$new" "$recipe" "$model" new
    if ! diff -r "$scratch/old" "$scratch/new" >"$scratch/diff" || ! diff "$scratch/old.error" "$scratch/new.error" >>"$scratch/diff"; then
      echo "DIFFERENT   $name"
      head -5 "$scratch/diff"
      different=1
    elif [ -s "$scratch/new.error" ]; then
      echo "refused     $name: $(head -1 "$scratch/new.error")"
    else
      echo "the same    $name: $(find "$scratch/new" -type f | wc -l) files, $(du -sb "$scratch/new" | cut -f1) bytes"
    fi
  done
done
if [ $different = 0 ]; then echo "all the same"; else exit 1; fi
