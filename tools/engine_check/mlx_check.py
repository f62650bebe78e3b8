"""Has MLX decode every code and every scale that Vernier writes, and compares with `dequantize`.

MLX's own dequantisation of NVFP4, MXFP4, MXFP8, 4-bit integers and FP8 reads the bytes as they
are. Its values, times the global scale of NVFP4, must be those of `vernier dequantize`, bit for
bit but for the sign of zeros. Prints a report in Markdown; exit code 1 where anything differs.
tools/engine_check.sh calls it. Needs nothing but MLX, which also reads safetensors.
"""

import argparse
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
from vernier import Vernier

MODELOPT, CT = "modelopt", "compressed-tensors"
ONES = 0x22222222  # the E2M1 code of 1.0, eight times
NVFP4_BLOCK, INT4_ZERO = 16, 8


def as_words(codes):
    return mx.view(codes, mx.uint32) if codes.dtype != mx.int32 else codes.astype(mx.uint32)


def over_blocks(values, scales):
    """Each block of equally many columns times its scale."""
    rows, blocks = scales.shape
    return (values.reshape(rows, blocks, -1) * scales[..., None]).reshape(values.shape)


def nvfp4(weight, scale, global_scale):
    """E2M1 * (E4M3 * global scale), rounded in this order: codes and scales are decoded apart."""
    def decode(words, scales):
        return mx.dequantize(words, scales, mode="nvfp4", dtype=mx.float32)

    unit = mx.full(scale.shape, 0x38, dtype=mx.uint8)  # E4M3's code of 1.0
    words = as_words(weight)
    scales = decode(mx.full(words.shape, ONES, dtype=mx.uint32), scale)[:, ::NVFP4_BLOCK]
    values = decode(words, unit)
    together = decode(words, scale)
    assert mx.array_equal(together, over_blocks(values, scales)), "MLX contradicts itself"
    return over_blocks(values, scales * global_scale)


def mx_format(mode):
    def decode(weight, scale):
        return mx.dequantize(as_words(weight), scale, mode=mode, dtype=mx.float32)
    return decode


def int4(words, scale, shape):
    scale = scale.astype(mx.float32)
    group = shape[1].item() // scale.shape[1]
    return mx.dequantize(as_words(words), scale, -INT4_ZERO * scale, group_size=group, bits=4)


def fp8(codes, scale):
    return mx.from_fp8(codes, mx.float32) * scale.astype(mx.float32)


# Format, dialect, the suffixes of a weight's tensors, and how MLX decodes them.
FORMATS = (
    ("nvfp4", MODELOPT, ("weight", "weight_scale", "weight_scale_2"), nvfp4),
    ("nvfp4", CT, ("weight_packed", "weight_scale", "weight_global_scale"),
     lambda weight, scale, divisor: nvfp4(weight, scale, 1 / divisor)),
    ("mxfp4", CT, ("weight_packed", "weight_scale"), mx_format("mxfp4")),
    ("mxfp8", MODELOPT, ("weight", "weight_scale"), mx_format("mxfp8")),
    ("mxfp8", CT, ("weight", "weight_scale"), mx_format("mxfp8")),
    ("int4", CT, ("weight_packed", "weight_scale", "weight_shape"), int4),
    ("fp8", CT, ("weight", "weight_scale"), fp8),
    ("fp8_channel", CT, ("weight", "weight_scale"), fp8),
)


def load(directory):
    tensors = {}
    for shard in sorted(Path(directory).glob("*.safetensors")):
        tensors |= mx.load(str(shard))
    return tensors


def compare(quantised, plain, suffixes, decode):
    """The number of weights and of values, and the names of weights that differ."""
    weights, values, differing = 0, 0, []
    for name in sorted(quantised):
        module, _, suffix = name.rpartition(".")
        parts = [quantised.get(f"{module}.{part}") for part in suffixes]
        if suffix != suffixes[0] or any(part is None for part in parts):
            continue
        decoded = decode(*parts).astype(mx.bfloat16)
        weights, values = weights + 1, values + decoded.size
        if not mx.array_equal(decoded, plain[module + ".weight"]):
            differing.append(module)
    return weights, values, differing


def check(vernier, model, number_format, dialect, suffixes, decode, work):
    quantised, plain = work / "quantised", work / "plain"
    vernier.convert(model, quantised, "--weights", number_format, "--dialect", dialect)
    vernier.dequantize(quantised, plain)
    return compare(load(quantised), load(plain), suffixes, decode)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vernier", required=True, type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    given = parser.parse_args()
    vernier = Vernier(given.vernier)
    wrong = 0
    print(f"Version: mlx {version('mlx')}, on {mx.default_device()}.\n")
    print("| model | format | dialect | weights | values | verdict |\n|---|---|---|---|---|---|")
    for model in given.models:
        for number_format, dialect, *rest in FORMATS:
            with tempfile.TemporaryDirectory() as work:
                weights, values, differing = check(vernier, model, number_format, dialect, *rest,
                                                   Path(work))
            is_wrong = differing or weights == 0
            wrong += bool(is_wrong)
            verdict = f"**{len(differing)} differ**, {differing[:1]}" if is_wrong else "equal"
            print(f"| {model.name} | {number_format} | {dialect} | {weights} | {values} | "
                  f"{verdict} |", flush=True)
    print(f"\n{len(given.models) * len(FORMATS)} checked, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
