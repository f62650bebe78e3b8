#!/bin/sh
# OpenBLAS 0.3.23 (as numpy 1.26.4 brings it), x86-64, the kernels for Haswell and Zen: in sgemm the
# rows that are left when their number is divided by 12 get other last bits than the same rows get
# among more of them. The first 64 rows of a product of 480 are not the product of these 64 rows; the
# first 60 are. With one thread, on the same machine, with the same kernels.
# Why it matters: what a model computes for a sequence then depends on how many sequences are computed
# with it, so that statistics, routing among close experts, and codes chosen from them change with
# the batch size. Rows of zeros up to a multiple of 12 make them independent of it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==1.26.4
cat > "$work/rows.py" <<'PYTHON'
import numpy as np

random = np.random.default_rng(1)
x = random.standard_normal((480, 576), dtype=np.float32)
w = random.standard_normal((576, 1536), dtype=np.float32)
whole = x @ w
same = {rows: bool(((x[:rows] @ w) == whole[:rows]).all()) for rows in (12, 48, 60, 64, 100, 128)}
for rows, equal in same.items():
    print(f"{rows} rows alone: {'the same bits' if equal else 'other bits'} as among 480")
assert all(equal == (rows % 12 == 0) for rows, equal in same.items()), same
PYTHON
OPENBLAS_CORETYPE=Haswell OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" "$work/rows.py"
