"""Writes the llmcompressor_* folders: llmcompressor 0.14.0.1, compressed-tensors 0.19.0,
torch 2.13.0 (CPU), transformers 5.17.0.

Usage: make_with_llmcompressor.py OUTPUT_DIRECTORY [FOLDER...]
"""

import sys
from pathlib import Path

import torch

import sources
from make_llmcompressor import FP8_CACHE, MOE_IGNORE, compress_saved, uniform

NVFP4_KV_FP8 = ("NVFP4", {"kv_cache_scheme": FP8_CACHE})
# Its default, "sequential", runs Qwen3-MoE without a causal mask (README.md).
PIPELINES = {"qwen3_moe": "basic", "llama": "sequential", "deepseek_v3": "sequential"}
FOLDERS = {
    "llmcompressor_llama_nvfp4_kv_fp8": ("llama", *NVFP4_KV_FP8),
    "llmcompressor_llama_nvfp4_kv_fp8_static": ("llama", "NVFP4", {
        "kv_cache_scheme": {**FP8_CACHE, "observer": "static_minmax"}}),
    "llmcompressor_llama_nvfp4a16": ("llama", "NVFP4A16", {}),
    "llmcompressor_llama_fp8": ("llama", "FP8", {}),
    "llmcompressor_qwen3_moe_nvfp4_kv_fp8": ("qwen3_moe", *NVFP4_KV_FP8),
    "llmcompressor_deepseek_v3_nvfp4_kv_fp8": ("deepseek_v3", *NVFP4_KV_FP8),
}
WHOLE = ("llmcompressor_llama_nvfp4_kv_fp8", "llmcompressor_qwen3_moe_nvfp4_kv_fp8")  # are run, too


def forget_image_processors():
    """transformers 5.17 looks into all its modules to patch the experts' class, and its aliases of
    image processors then import torchvision, which nothing here needs."""
    for name in [n for n in sys.modules if n.startswith("transformers.models.")]:
        if "image_processing" in name:
            del sys.modules[name]


def main():
    forget_image_processors()
    for name in sys.argv[2:] or FOLDERS:
        model, preset, options = FOLDERS[name]
        torch.manual_seed(0)
        source, directory = sources.MODELS[model], Path(sys.argv[1]) / name
        ignore = ("lm_head",) if model == "llama" else MOE_IGNORE
        compress_saved(source, uniform(preset, ignore, **options), directory, sources.samples(),
                       pipeline=PIPELINES[model])
        sources.keep(directory, None if name in WHOLE else source)


if __name__ == "__main__":
    main()
