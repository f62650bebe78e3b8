"""Writes logits.safetensors beside whole llm-compressor checkpoints: what compressed-tensors 0.19.0
simulates in transformers 5.17.0, torch 2.13.0 (CPU), for the first two calibration sequences.

Usage: make_logits.py CHECKPOINT...
"""

import sys
from pathlib import Path

import torch
from llmcompressor.modeling.moe.linearize import load_quantizable_moe
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

import sources
from make_with_llmcompressor import forget_image_processors

SEQUENCES = 2
SIMULATED = {  # what is quantised and dequantised on the way: inputs of linear layers, the KV cache
    "weights": (False, False),
    "inputs": (True, False),
    "inputs_kv": (True, True),
}


def load(directory, dtype):
    """Weights dequantised while loading: to BF16, whatever `dtype` says."""
    with load_quantizable_moe():  # else transformers loses the experts' global scales
        model = AutoModelForCausalLM.from_pretrained(
            directory, dtype=dtype, attn_implementation="eager",
            quantization_config=CompressedTensorsConfig(dequantize=True))
    return model.float().eval() if dtype == torch.float32 else model.eval()


def logits(model, ids, inputs, cache):
    for module in model.modules():
        module.quantization_enabled = cache if hasattr(module, "kv_cache") else inputs
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def main():
    forget_image_processors()
    ids = torch.cat(sources.samples()[:SEQUENCES])
    for directory in map(Path, sys.argv[1:]):
        result = {"input_ids": ids}
        model = load(directory, torch.float32)
        for name, parts in SIMULATED.items():
            result[f"f32.{name}"] = logits(model, ids, *parts)
        model = load(directory, torch.bfloat16)
        for name in ("weights", "inputs_kv"):
            result[f"bf16.{name}"] = logits(model, ids, *SIMULATED[name])
        save_file(result, directory / "logits.safetensors")


if __name__ == "__main__":
    main()
