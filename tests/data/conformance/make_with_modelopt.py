"""Writes the modelopt_* folders: nvidia-modelopt 0.47.0, torch 2.13.0 (CPU), transformers 5.17.0.

Usage: make_with_modelopt.py OUTPUT_DIRECTORY [FOLDER...]
"""

import sys
from pathlib import Path

import modelopt.torch.quantization as mtq
import torch
from transformers import AutoModelForCausalLM

import sources
from make_modelopt import export

NVFP4_KV_FP8 = mtq.update_quant_cfg_with_kv_cache_quant(
    mtq.NVFP4_DEFAULT_CFG, mtq.FP8_KV_CFG["quant_cfg"])
SCHEMES = {
    "llama": {
        "nvfp4_kv_fp8": NVFP4_KV_FP8,
        "w4a16_nvfp4": mtq.W4A16_NVFP4_CFG,
        "fp8": mtq.FP8_DEFAULT_CFG,
        "mxfp8": mtq.MXFP8_DEFAULT_CFG,
        "nvfp4_mlp_only": mtq.NVFP4_MLP_ONLY_CFG,
    },
    "qwen3_moe": {
        "nvfp4_kv_fp8": NVFP4_KV_FP8,
        "fp8": mtq.FP8_DEFAULT_CFG,
        "mxfp8": mtq.MXFP8_DEFAULT_CFG,
        "nvfp4_experts_only": mtq.NVFP4_EXPERTS_ONLY_CFG,
    },
    "deepseek_v3": {"nvfp4_kv_fp8": NVFP4_KV_FP8},
}
FOLDERS = {
    f"modelopt_{model}_{scheme}": (model, config)
    for model, schemes in SCHEMES.items()
    for scheme, config in schemes.items()
}


def main():
    for name in sys.argv[2:] or FOLDERS:
        model, config = FOLDERS[name]
        torch.manual_seed(0)
        loaded = AutoModelForCausalLM.from_pretrained(sources.MODELS[model], dtype=torch.bfloat16)
        directory = Path(sys.argv[1]) / name
        export(loaded.eval(), config, directory, sources.samples())
        sources.keep(directory, sources.MODELS[model])


if __name__ == "__main__":
    main()
