"""Writes the modelopt_* fixtures: nvidia-modelopt 0.47.0, torch 2.13.0 (CPU), transformers 5.23.0.

Usage: make_modelopt.py OUTPUT_DIRECTORY [FIXTURE...]
"""

import copy
import sys
from pathlib import Path

import modelopt.torch.quantization as mtq
import torch
from modelopt.torch.export import export_hf_checkpoint

import tiny_models


def fp8_attention_nvfp4_mlp():
    """Mixed precision: two algorithms, by module."""

    def of(preset, module):
        entries = copy.deepcopy(preset["quant_cfg"])
        for entry in entries:
            if "cfg" in entry:
                entry["quantizer_name"] = f"*{module}{entry['quantizer_name']}"
        return entries

    attention = of(mtq.FP8_DEFAULT_CFG, "self_attn")
    mlp = [entry for entry in of(mtq.NVFP4_DEFAULT_CFG, "mlp") if "cfg" in entry]
    # After "disable everything", before the modules that are disabled by default.
    return {"quant_cfg": attention[:3] + mlp + attention[3:], "algorithm": "max"}


def export(model, config, directory, samples=None):
    def calibrate(model):
        for sample in samples or tiny_models.samples():
            model(sample)

    mtq.quantize(model, config, calibrate)
    with torch.inference_mode():
        export_hf_checkpoint(model, dtype=torch.bfloat16, export_dir=directory)


def few_tokens(model, config, directory):
    """A single token of calibration, so that each layer's router leaves experts without any."""
    export(model, config, directory, tiny_models.samples(count=1, length=1))


FIXTURES = {
    "modelopt_nvfp4_tied": lambda d: export(
        tiny_models.llama(tied=True), mtq.NVFP4_DEFAULT_CFG, d),
    "modelopt_nvfp4_kv_fp8": lambda d: export(
        tiny_models.llama(), mtq.update_quant_cfg_with_kv_cache_quant(
            mtq.NVFP4_DEFAULT_CFG, mtq.FP8_KV_CFG["quant_cfg"]), d),
    "modelopt_w4a16_nvfp4": lambda d: export(
        tiny_models.llama(), mtq.W4A16_NVFP4_CFG, d),
    "modelopt_mixed": lambda d: export(
        tiny_models.llama(), fp8_attention_nvfp4_mlp(), d),
    "modelopt_nvfp4_experts_only": lambda d: export(
        tiny_models.qwen3_moe(experts=4), mtq.NVFP4_EXPERTS_ONLY_CFG, d),
    "modelopt_nvfp4_moe_unrouted": lambda d: few_tokens(
        tiny_models.qwen3_moe(), mtq.NVFP4_DEFAULT_CFG, d),
    "modelopt_nvfp4_deepseek_v3_unrouted": lambda d: few_tokens(
        tiny_models.deepseek_v3(), mtq.NVFP4_DEFAULT_CFG, d),
}


def main():
    output = Path(sys.argv[1])
    for name in sys.argv[2:] or FIXTURES:
        torch.manual_seed(0)
        FIXTURES[name](output / name)


if __name__ == "__main__":
    main()
