#!/usr/bin/env bash
# Seen: with PyTorch 2.13.0, torch.device("cuda:256") is the first GPU and "cuda:255" is a device without index, the
# current one; "cuda:128" has the index -128. No error is raised, neither for the text nor when the index is beyond
# every machine: the number is kept in eight bits.
# Why it matters: one might expect the error that "cuda:99" gives when it is first used. A mistyped or computed number
# lands on a GPU that somebody else has, or on the current one, in silence. A program that takes a device's name from its
# user has to look at the number itself before the library does. (c10::Device of libtorch is the same code.)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0

seen=$("$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import torch

for name in ("cuda:127", "cuda:128", "cuda:255", "cuda:256", "cuda:4097"):
    print(name, "->", torch.device(name).index)
PY
)
echo "$seen"
if [[ $seen != "cuda:127 -> 127
cuda:128 -> -128
cuda:255 -> None
cuda:256 -> 0
cuda:4097 -> 1" ]]; then
  echo "This has changed."
  exit 1
fi
echo "As seen: an index is its lowest eight bits."
