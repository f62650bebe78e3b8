"""Writes llmcompressor_nvfp4_mixtral: llmcompressor 0.8.1, compressed-tensors 0.12.2,
transformers 4.57.6, datasets 4.2.0, torch 2.13.0 (CPU).

That release gives gate_proj and up_proj one global scale, but knows them by these names only:
Mixtral's w1 and w3 keep one each.

Usage: make_llmcompressor_mixtral.py OUTPUT_DIRECTORY
"""

import sys
import tempfile
from pathlib import Path

import torch
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

import tiny_models


def main():
    rows = [
        {"input_ids": sample, "attention_mask": torch.ones_like(sample)}
        for sample in tiny_models.samples()
    ]
    # This release takes no data loader, only named data sets.
    sys.modules["llmcompressor.entrypoints.oneshot"].get_calibration_dataloader = (
        lambda *_, **__: DataLoader(rows, batch_size=None)
    )
    words = {str(i): i for i in range(tiny_models.VOCABULARY)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="0")))
    recipe = QuantizationModifier(
        targets="Linear", scheme="NVFP4", ignore=["lm_head", "re:.*block_sparse_moe.gate$"])
    with tempfile.TemporaryDirectory() as source:
        tiny_models.mixtral().save_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, torch_dtype=torch.bfloat16)
        oneshot(model=model, processor=tokenizer, recipe=recipe, pipeline="basic",
                calibrate_moe_context=True)
        model.save_pretrained(
            Path(sys.argv[1]) / "llmcompressor_nvfp4_mixtral", save_compressed=True)


if __name__ == "__main__":
    main()
