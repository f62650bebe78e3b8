"""Makes llmcompressor_gptq.safetensors: what llm-compressor's GPTQ makes of the cases of numpy_gptq.safetensors.

Its quantize_weight gets their values, their damped H in their order (from U: H^-1 = U^T U), and their block scales,
which it does not choose itself; so that the nibbles can be compared. Made with llmcompressor 0.14.0.1,
compressed-tensors 0.19.0 and torch 2.13.0 on a CPU.
Usage: make_llmcompressor_gptq.py NUMPY_GPTQ OUTPUT
"""

import sys

import numpy as np
import torch
from compressed_tensors.quantization import QuantizationArgs
from llmcompressor.modifiers.gptq.gptq_quantize import quantize_weight
from safetensors.numpy import load_file, save_file

MAGNITUDES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)


def run(case):
    order = case["order"].astype(np.int64)
    factor = case["factor"].astype(np.float64)
    hessian = np.linalg.inv(factor.T @ factor)
    blocks = order[::16] // 16
    scales = torch.from_numpy(case["scale"]).view(torch.float8_e4m3fn).float()[:, blocks]
    weights = torch.from_numpy(case["input"][:, order].copy())
    arguments = QuantizationArgs(num_bits=4, type="float", strategy="tensor_group", group_size=16, symmetric=True)
    divisor = torch.tensor([1.0]) / torch.from_numpy(case["scale_2"])
    quantised, _, fell_back = quantize_weight(
        weights[None].clone(), torch.from_numpy(hessian).float()[None], scales[None], torch.zeros_like(scales)[None],
        divisor[None], arguments, percdamp=0.0)
    assert not fell_back.any()
    step = (scales / divisor).repeat_interleave(16, 1).numpy()
    values = quantised[0].numpy() / step
    nibbles = np.abs(np.abs(values)[..., None] - MAGNITUDES).argmin(-1).astype(np.uint8)
    assert np.abs(MAGNITUDES[nibbles] - np.abs(values)).max() < 1e-3
    nibbles[(values < 0) & (nibbles > 0)] += 8
    natural = np.empty_like(nibbles)
    natural[:, order] = nibbles
    return natural[:, ::2] | natural[:, 1::2] << 4


def main():
    tensors = load_file(sys.argv[1])
    names = sorted({name.rsplit(".", 1)[0] for name in tensors})
    made = {}
    for name in names:
        case = {key.rsplit(".", 1)[1]: value for key, value in tensors.items() if key.rsplit(".", 1)[0] == name}
        made[name + ".packed"] = run(case)
        different = made[name + ".packed"] ^ case["packed"]
        count = int(((different & 15) > 0).sum() + ((different >> 4) > 0).sum())
        print(name, count, "of", case["input"].size)
    save_file(made, sys.argv[2])


if __name__ == "__main__":
    main()
