"""Makes numpy_local_hessian.safetensors: NVFP4 scales of least e^T H e, in float64.

The formula: of the E4M3 codes up to 8 above that of amax / (6 * global_scale), the one with the
least e^T H e, where e = w - E2M1(w / scale) * scale and scale = float32(E4M3 * global_scale).
Usage: make_local_hessian.py OUTPUT
"""

import sys

import numpy as np
from safetensors.numpy import save_file

E4M3 = np.array([m * 2.0**-9 if e == 0 else (8 + m) * 2.0 ** (e - 10)
                 for e in range(16) for m in range(8)][:127])
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def nearest(grid, values):
    """Indices of the nearest of an ascending grid, ties to the even index."""
    distance = np.abs(np.asarray(values, dtype=np.float64)[..., None] - grid)
    tied = distance == distance.min(axis=-1, keepdims=True)
    return np.argmax(tied * (2 - np.arange(len(grid)) % 2), axis=-1)


def quantise(block, code, global_scale):
    scale = np.float32(E4M3[code]) * global_scale
    codes = nearest(E2M1, np.abs(block / scale))
    values = np.sign(block) * E2M1[codes] * np.float64(scale)
    return codes + 8 * (block < 0), values


def choose(block, hessian, global_scale):
    """The code, and by how much the next best is worse, relative to it."""
    rule = nearest(E4M3, np.abs(block).max() / (6 * global_scale))
    codes = np.arange(1, min(rule + 8, 126) + 1)
    errors = []
    for code in codes:
        e = block.astype(np.float64) - quantise(block, code, global_scale)[1]
        errors.append(e @ hessian.astype(np.float64) @ e)
    order = np.argsort(errors)
    return codes[order[0]], errors[order[1]] / errors[order[0]] - 1


def make_case(random, hessians, deviation):
    rows, blocks = 12, len(hessians)
    values = (random.normal(size=(rows, 16 * blocks)) * deviation).astype(np.float32)
    global_scale = np.abs(values).max() / np.float32(1536)
    scales = np.zeros((rows, blocks), dtype=np.uint8)
    packed = np.zeros((rows, 8 * blocks), dtype=np.uint8)
    for row in range(rows):
        for b in range(blocks):
            block = values[row, 16 * b:16 * b + 16]
            code, margin = choose(block, hessians[b], global_scale)
            while margin < 1e-3:  # float32 might choose otherwise
                block *= np.float32(0.97)
                code, margin = choose(block, hessians[b], global_scale)
            nibbles = quantise(block, code, global_scale)[0]
            scales[row, b] = code
            packed[row, 8 * b:8 * b + 8] = nibbles[::2] | nibbles[1::2] << 4
    return {"input": values, "hessian": hessians.astype(np.float32), "packed": packed,
            "scale": scales, "scale_2": np.array([global_scale], dtype=np.float32)}


def second_moments(random, blocks, samples, deviations):
    x = random.normal(size=(samples, blocks, 16))
    x += 0.7 * np.roll(x, 1, axis=2) + 0.5 * random.normal(size=(samples, blocks, 1))
    x *= deviations
    return np.einsum("tbi,tbj->bij", x, x) / samples


def main():
    random = np.random.default_rng(7)
    outlier = np.ones(16)
    outlier[5] = 60.0
    dead = np.ones(16)
    dead[[0, 9]] = 0.0
    cases = {
        "identity": np.tile(np.eye(16), (3, 1, 1)),
        "correlated": second_moments(random, 5, 400, np.exp(random.normal(size=16) / 2)),
        "outlier": second_moments(random, 4, 400, outlier),
        "dead": second_moments(random, 3, 400, dead),
        "few": second_moments(random, 3, 9, np.ones(16)),
    }
    tensors = {}
    for name, hessians in cases.items():
        case = make_case(random, hessians.astype(np.float32), 0.03)
        tensors |= {f"{name}.{key}": np.ascontiguousarray(t) for key, t in case.items()}
    save_file(tensors, sys.argv[1])


main()
