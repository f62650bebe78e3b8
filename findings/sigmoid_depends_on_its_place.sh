#!/usr/bin/env bash
# Seen: with torch 2.13.0 on x86-64 (AVX2, AVX512), sigmoid, silu, gelu and softplus of one and the same float32 number
# differ in the last bits between the body of a tensor, which vector instructions compute, and the few elements at its
# end, which another routine does. exp, tanh and erf give the same everywhere. One thread, no batching of products.
# Why it matters: element by element operations are thought to be independent of their neighbours. They are not: how many
# rows are computed together, or where threads meet, changes bits. Runs that must repeat bit for bit in other batches
# make sigmoid of exp, or keep tensors at multiples of the vector's width.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.3.5

cat > "$work/place.py" <<'PY'
import sys
import torch
from torch.nn import functional

torch.set_num_threads(1)
values = torch.randn(4096, generator=torch.Generator().manual_seed(0))
moved = {}
for operation in (torch.sigmoid, functional.silu, functional.gelu, functional.softplus, torch.exp, torch.tanh, torch.erf):
    together = operation(values)
    alone = torch.cat([operation(value.reshape(1)) for value in values])
    moved[operation.__name__] = int((together != alone).sum())
print(torch.backends.cpu.get_cpu_capability(), moved)
steady = all(moved[name] == 0 for name in ("exp", "tanh", "erf"))
sys.exit(not steady or not all(moved[name] for name in ("sigmoid", "silu", "gelu", "softplus")))
PY
"$work/venv/bin/python" "$work/place.py" || { echo "This has changed."; exit 1; }
echo "As seen: of 4096 numbers, hundreds get other bits alone than among others."
