#!/usr/bin/env bash
# Seen: with PyTorch 2.13.0, torch.linalg.cholesky, inv and solve_triangular return matrices whose columns lie side by
# side, whatever the inputs' layout, and copies keep that: flip, float, clone and zeros_like of such a result have its
# strides. None of them is contiguous, although each is new memory.
# Why it matters: a factor that is turned round or narrowed "must be a fresh row-major copy", so its data pointer goes to
# a kernel or a C loop, which then reads the transpose: of an upper triangular factor (GPTQ's) its first row and zeros.
# Shapes, values in Python and every check there look right. contiguous() is needed behind all of it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy

said=$("$work/venv/bin/python" -c '
import torch
lower = (torch.ones(3, 3) + torch.eye(3)).tril().double()
inverse = torch.linalg.solve_triangular(lower, torch.eye(3).double(), upper=False)
upper = inverse.float().flip((0, 1))
for name, x in (("cholesky", torch.linalg.cholesky(lower @ lower.T)), ("inv", torch.linalg.inv(lower)),
                ("solve_triangular", inverse), ("its flip", upper), ("its clone", inverse.clone()),
                ("zeros_like it", torch.zeros_like(inverse))):
    print(f"{name}: strides {x.stride()}, contiguous: {x.is_contiguous()}")
memory = torch.empty(0).set_(upper.untyped_storage()).tolist()
print("first row of the flip:", upper[0].count_nonzero().item(), "of 3 are not 0; of its memory:",
      sum(value != 0 for value in memory[:3]))')
echo "$said"
expected='cholesky: strides (1, 3), contiguous: False
inv: strides (1, 3), contiguous: False
solve_triangular: strides (1, 3), contiguous: False
its flip: strides (1, 3), contiguous: False
its clone: strides (1, 3), contiguous: False
zeros_like it: strides (1, 3), contiguous: False
first row of the flip: 3 of 3 are not 0; of its memory: 1'
if [[ $said != "$expected" ]]; then
  echo "This has changed."
  exit 1
fi
echo "As seen: copies of a factor are column by column like the factor."
