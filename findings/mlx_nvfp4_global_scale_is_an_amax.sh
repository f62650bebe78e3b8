#!/usr/bin/env bash
# Seen: MLX 0.32.4's mx.dequantize(..., mode="nvfp4", global_scale=g) multiplies by g / 2688 (6 * 448): g is the largest
# magnitude of the matrix, and not the factor that checkpoints store. With g = 2688 the result is that without one. (CPU.)
# Why it matters: ModelOpt's weight_scale_2 and compressed-tensors' weight_global_scale are called global scales, too, and
# are that amax over 2688 and its reciprocal. Given to MLX as they are, they give values that are 2688 times too small, or
# of no use at all; nothing is refused, because shapes and dtypes agree. It takes weight_scale_2 * 2688.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q mlx==0.32.4 mlx-cpu==0.32.4

"$work/venv/bin/python" - <<'PY'
import sys

import mlx.core as mx

weight = mx.arange(-32, 32, dtype=mx.float32).reshape(2, 32) / 8
codes, scales = mx.quantize(weight, group_size=16, bits=4, mode="nvfp4")


def decode(**scale):
    return mx.dequantize(codes, scales, group_size=16, bits=4, mode="nvfp4", dtype=mx.float32, **scale)


plain = decode()
seen = {}
for factor in (1.0, 2688.0):
    scaled = decode(global_scale=mx.array(factor, dtype=mx.float32))
    seen[factor] = float(mx.abs(scaled).sum() / mx.abs(plain).sum())
    print(f"global_scale={factor:g}: {seen[factor]:.9f} of the values without one")
if abs(seen[1.0] * 2688 - 1) > 1e-5 or abs(seen[2688.0] - 1) > 1e-5:
    sys.exit("This has changed.")
print("As seen: the values are multiplied by global_scale / 2688.")
PY
