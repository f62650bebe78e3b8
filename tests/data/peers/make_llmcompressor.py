"""Writes the llmcompressor_* fixtures: llmcompressor 0.14.0.1, compressed-tensors 0.20.0,
torch 2.13.0 (CPU), transformers 5.23.0.

Usage: make_llmcompressor.py OUTPUT_DIRECTORY [FIXTURE...]
"""

import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import torch
from compressed_tensors.quantization import preset_name_to_scheme
from llmcompressor import oneshot
from llmcompressor.modeling.moe.linearize import load_quantizable_moe
from llmcompressor.modifiers.quantization import QuantizationModifier
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.utils.data import DataLoader
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

import tiny_models


def batches(samples):
    rows = [
        {"input_ids": sample, "attention_mask": torch.ones_like(sample)} for sample in samples
    ]
    return DataLoader(rows, batch_size=None)


def tokenizer():
    """`oneshot` demands one, although the samples are tokens already."""
    words = {str(i): i for i in range(tiny_models.VOCABULARY)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="0")))


def compress(model, recipe, directory, samples=None, **options):
    """Through a saved and loaded model, as a user would have it."""
    with tempfile.TemporaryDirectory() as source:
        model.save_pretrained(source)
        compress_saved(source, recipe, directory, samples or tiny_models.samples(), **options)


def compress_saved(source, recipe, directory, samples, **options):
    experts = AutoConfig.from_pretrained(source).model_type in ("qwen3_moe", "deepseek_v3")
    with load_quantizable_moe() if experts else nullcontext():
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16)
    oneshot(
        model=model,
        processor=tokenizer(),
        recipe=recipe,
        dataset=batches(samples),
        num_calibration_samples=len(samples),
        max_seq_length=samples[0].shape[-1],
        **options,
    )
    model.save_pretrained(directory, save_compressed=True)


def uniform(scheme, ignore=("lm_head",), **options):
    return QuantizationModifier(
        targets="Linear", scheme=scheme, ignore=list(ignore), **options)


FP8_CACHE = {
    "num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True,
}


def mixed():
    """FP8 attention with dynamic activation scales, NVFP4 MLPs: two config groups."""
    return QuantizationModifier(
        config_groups={
            "attention": preset_name_to_scheme("FP8_DYNAMIC", ["re:.*self_attn.*_proj$"]),
            "mlp": preset_name_to_scheme("NVFP4", ["re:.*mlp.*_proj$"]),
        },
        ignore=["lm_head"],
    )


MOE_IGNORE = ("lm_head", "re:.*mlp.gate$")

FIXTURES = {
    "llmcompressor_nvfp4_kv_fp8": lambda d: compress(
        tiny_models.llama(), uniform("NVFP4", kv_cache_scheme=FP8_CACHE), d),
    "llmcompressor_nvfp4a16": lambda d: compress(tiny_models.llama(), uniform("NVFP4A16"), d),
    "llmcompressor_mixed": lambda d: compress(tiny_models.llama(), mixed(), d),
    "llmcompressor_nvfp4_moe": lambda d: compress(
        tiny_models.qwen3_moe(), uniform("NVFP4", MOE_IGNORE), d),
    "llmcompressor_nvfp4_moe_unrouted": lambda d: compress(
        tiny_models.qwen3_moe(), uniform("NVFP4", MOE_IGNORE), d,
        tiny_models.samples(count=1, length=1), moe_calibrate_all_experts=False),
}


def main():
    output = Path(sys.argv[1])
    for name in sys.argv[2:] or FIXTURES:
        torch.manual_seed(0)
        FIXTURES[name](output / name)


if __name__ == "__main__":
    main()
