"""Random models of each family, small, with head sizes that engines have kernels for.

The configurations and tensor names are those of released checkpoints: transformers writes the
tensors. The tokenizer of the repository's example model goes with them.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY = 4096  # of the example model's tokenizer
TOKENS = (2, 128)  # of the text that logits are compared on

_COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "tie_word_embeddings": False,
}
_EXPERTS = {"moe_intermediate_size": 256, "num_experts_per_tok": 2, "norm_topk_prob": True}
_MLA = {
    "num_key_value_heads": 4,
    "q_lora_rank": 256,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}

FAMILIES = {
    "llama": ("LlamaForCausalLM", {"head_dim": 64}),
    "mistral": ("MistralForCausalLM", {"head_dim": 64, "sliding_window": None}),
    "qwen2": ("Qwen2ForCausalLM", {}),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 64}),
    "qwen3_moe": (
        "Qwen3MoeForCausalLM",
        _EXPERTS | {"head_dim": 64, "num_experts": 8, "decoder_sparse_step": 1,
                    "mlp_only_layers": []},
    ),
    "mixtral": (
        "MixtralForCausalLM",
        {"head_dim": 64, "intermediate_size": 256, "num_local_experts": 8,
         "num_experts_per_tok": 2, "sliding_window": None},
    ),
    "deepseek_v3": (
        "DeepseekV3ForCausalLM",
        _EXPERTS | _MLA | {"n_routed_experts": 8, "n_shared_experts": 1, "n_group": 4,
                           "topk_group": 2, "first_k_dense_replace": 1,
                           "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
                           "topk_method": "noaux_tc", "num_nextn_predict_layers": 0},
    ),
}


def _config(family, changes):
    architecture, fields = FAMILIES[family]
    head = {"model_type": family, "architectures": [architecture], "torch_dtype": "bfloat16"}
    return head | _COMMON | fields | changes


def _spread(name):
    """Standard deviation of a random parameter: logits then spread by about 1."""
    if "embed" in name:
        return 1.0
    if "lm_head" in name:
        return 0.15
    return 0.1 if name.endswith("bias") else 0.07


def _fill(model, generator):
    parameters = dict(model.named_parameters())
    parameters |= {n: b for n, b in model.named_buffers() if "bias" in n}
    with torch.no_grad():
        for name, values in parameters.items():
            noise = torch.randn(values.shape, generator=generator)
            is_norm = "norm" in name and name.endswith("weight")
            values.copy_(1 + 0.1 * noise if is_norm else _spread(name) * noise)


def make_model(directory, family, tokenizer, changes=None):
    """Writes a BF16 checkpoint of `family`, with `changes` to its configuration."""
    directory = Path(directory)
    directory.mkdir(parents=True)
    config = _config(family, changes or {})
    config_file = directory / "config.json"
    config_file.write_text(json.dumps(config))
    # Some counts are known to engines alone.
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory)).float()
    _fill(model, torch.Generator().manual_seed(7))
    model.bfloat16().save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    config_file.write_text(json.dumps(config, indent=1))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tokenizer) / name, directory)


def add_mtp_layer(directory):
    """Gives a DeepSeek-V3 one MTP layer: a copy of its last layer, and the parts around it."""
    directory = Path(directory)
    config = json.loads((directory / "config.json").read_text())
    file = directory / "model.safetensors"
    tensors = load_file(file)
    last = f"model.layers.{config['num_hidden_layers'] - 1}."
    mtp = f"model.layers.{config['num_hidden_layers']}."
    for name in [n for n in tensors if n.startswith(last)]:
        tensors[mtp + name.removeprefix(last)] = tensors[name].clone()
    embedding, head = tensors["model.embed_tokens.weight"], tensors["lm_head.weight"]
    norm, width = tensors["model.norm.weight"], config["hidden_size"]
    tensors |= {
        mtp + "embed_tokens.weight": embedding.clone(),
        mtp + "shared_head.head.weight": head.clone(),
        mtp + "shared_head.norm.weight": norm.clone(),
        mtp + "enorm.weight": norm.clone(),
        mtp + "hnorm.weight": norm.clone(),
        mtp + "eh_proj.weight": torch.cat([head[:width], head[width:2 * width]], 1).contiguous(),
    }
    save_file(tensors, file, metadata={"format": "pt"})
    config["num_nextn_predict_layers"] = 1
    (directory / "config.json").write_text(json.dumps(config, indent=1))


def make_text(file):
    """Random token ids, the same for every model."""
    generator = torch.Generator().manual_seed(11)
    ids = torch.randint(3, VOCABULARY, TOKENS, generator=generator, dtype=torch.int64)
    save_file({"input_ids": ids}, file)
