#!/usr/bin/env python3
"""Makes qwen3_moe/, a random model whose every layer has experts: llama.cpp knows no other Qwen3-MoE."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent / "qwen3_moe"
CONFIG = {
    "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "vocab_size": 64,
    "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "num_hidden_layers": 1, "intermediate_size": 96, "moe_intermediate_size": 64, "num_experts": 4,
    "num_experts_per_tok": 2, "norm_topk_prob": True, "decoder_sparse_step": 1,
    "mlp_only_layers": [], "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
    "max_position_embeddings": 256, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}


def main():
    random = np.random.default_rng(7)

    def weight(*shape, scale=0.07):
        return torch.from_numpy(scale * random.standard_normal(shape).astype(np.float32)).bfloat16()

    layer, experts = "model.layers.0.", "model.layers.0.mlp.experts."
    tensors = {"model.embed_tokens.weight": weight(64, 64, scale=1), "model.norm.weight": weight(64)}
    for norm in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"{layer}{norm}.weight"] = weight(64)
    for name, rows in (("q_proj", 64), ("k_proj", 32), ("v_proj", 32), ("o_proj", 64)):
        tensors[f"{layer}self_attn.{name}.weight"] = weight(rows, 64)
    for norm in ("q_norm", "k_norm"):
        tensors[f"{layer}self_attn.{norm}.weight"] = weight(16)
    tensors[layer + "mlp.gate.weight"] = weight(4, 64)
    for expert in range(4):
        for name in ("gate_proj", "up_proj", "down_proj"):
            tensors[f"{experts}{expert}.{name}.weight"] = weight(64, 64, scale=0.05 + 0.02 * expert)
    HERE.mkdir(exist_ok=True)
    save_file(tensors, HERE / "model.safetensors", metadata={"format": "pt"})
    (HERE / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")


if __name__ == "__main__":
    main()
