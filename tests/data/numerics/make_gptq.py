"""Makes numpy_gptq.safetensors: NVFP4 by GPTQ with scales searched on compensated values.

The definition is that of quantizers/nvfp4_gptq.h, in float32; a fused multiply-add is one in
float64 that is rounded once more. U is NumPy's Cholesky factor of the inverse of the damped,
permuted H in float64, rounded to float32.
Usage: make_gptq.py OUTPUT
"""

import sys

import numpy as np
from safetensors.numpy import save_file

F32 = np.float32
E4M3 = np.array([m * 2.0**-9 if e == 0 else (8 + m) * 2.0 ** (e - 10)
                 for e in range(16) for m in range(8)][:127])
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def fma(a, b, c):
    return F32(np.float64(a) * np.float64(b) + np.float64(c))


def nearest(grid, values):
    """Indices of the nearest of an ascending grid, ties to the even index."""
    distance = np.abs(np.asarray(values, dtype=np.float64)[..., None] - grid)
    tied = distance == distance.min(axis=-1, keepdims=True)
    return np.argmax(tied * (2 - np.arange(len(grid)) % 2), axis=-1)


def rule_code(block, global_scale):
    amax = np.abs(block).max()
    quotient = amax / (F32(6) * global_scale) or F32(1)
    return int(nearest(E4M3, np.clip(quotient, 2.0**-9, 448)))


def attempt(block, u, code, global_scale):
    """Cost, nibbles and errors of a block under a code."""
    v, scale = block.copy(), F32(E4M3[code]) * global_scale
    cost, nibbles, errors = F32(0), np.zeros(16, dtype=np.uint8), np.zeros(16, dtype=F32)
    for i in range(16):
        index = int(nearest(E2M1, np.abs(v[i] / scale)))
        nibbles[i] = index + 8 * (v[i] < 0)
        n = F32(E2M1[index] * (-1 if v[i] < 0 else 1))
        errors[i] = fma(-n, scale, v[i]) * (F32(1) / u[i, i])
        cost = fma(errors[i], errors[i], cost)
        v[i + 1:] = fma(-errors[i], u[i, i + 1:], v[i + 1:])
    return cost, nibbles, errors


def quantise_row(row, order, u, global_scale):
    w = row[order]
    nibbles, scales = np.zeros(len(w), dtype=np.uint8), np.zeros(len(w) // 16, dtype=np.uint8)
    for p in range(0, len(w), 16):
        block, part = w[p:p + 16], u[p:p + 16, p:p + 16]
        rule = rule_code(block, global_scale)
        codes = range(max(rule - 4, 1), min(rule + 7, 126) + 1)
        attempts = {code: attempt(block, part, code, global_scale) for code in codes}
        best = min(codes, key=lambda code: (attempts[code][0], code != rule, code))
        scales[order[p] // 16] = best
        nibbles[order[p:p + 16]] = attempts[best][1]
        for i in range(16):
            w[p + 16:] = fma(-attempts[best][2][i], u[p + i, p + 16:], w[p + 16:])
    return nibbles, scales


def find_order(diagonal):
    blocks = diagonal.astype(np.float64).reshape(-1, 16)
    order = []
    for block in np.argsort(-blocks.sum(axis=1), kind="stable"):
        order += list(16 * block + np.argsort(-blocks[block], kind="stable"))
    return np.array(order)


def second_moments(random, columns, samples, spread):
    x = random.normal(size=(samples, columns)) + random.normal(size=(samples, 1))
    x += 0.8 * np.roll(x, 1, axis=1) + 0.3 * np.roll(x, 19, axis=1)
    x *= np.exp(spread * random.normal(size=columns))
    return x.T @ x / samples


def make_case(random, rows, columns, samples, spread, values_spread):
    hessian = second_moments(random, columns, samples, spread)
    diagonal = np.diag(hessian).astype(F32)
    order = find_order(diagonal)
    damped = hessian + 0.01 * np.diag(hessian).mean() * np.eye(columns)
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    factor = np.linalg.cholesky(inverse).T.astype(F32)
    values = random.normal(size=(rows, columns)) * np.exp(
        values_spread * random.normal(size=(rows, columns)))
    values = (0.02 * values).astype(F32)
    values[-1] = 0
    global_scale = np.abs(values).max() / F32(1536)
    done = [quantise_row(row, order, factor, global_scale) for row in values]
    nibbles = np.stack([row[0] for row in done])
    return {"input": values, "diagonal": diagonal, "order": order.astype(F32), "factor": factor,
            "packed": nibbles[:, ::2] | nibbles[:, 1::2] << 4,
            "scale": np.stack([row[1] for row in done]),
            "scale_2": np.array([global_scale], dtype=F32)}


def main():
    random = np.random.default_rng(11)
    cases = {
        "correlated": make_case(random, 24, 96, 400, 0.5, 0.0),
        "heavy": make_case(random, 21, 80, 300, 1.0, 1.5),
        "few_inputs": make_case(random, 17, 112, 40, 0.7, 0.5),
        "panels": make_case(random, 5, 144, 500, 0.5, 0.3),
    }
    tensors = {}
    for name, case in cases.items():
        tensors |= {f"{name}.{key}": np.ascontiguousarray(t) for key, t in case.items()}
    save_file(tensors, sys.argv[1])


main()
