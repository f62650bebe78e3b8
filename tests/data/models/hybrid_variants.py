"""Variants with delta nets in some layers: Qwen3-Next's and Qwen3.5's, dense and with experts."""

import re

import torch

from variants import COMMON, Variant

HYBRID = dict(
    vocab_size=96, hidden_size=60, intermediate_size=40, num_hidden_layers=4,
    num_attention_heads=3, num_key_value_heads=1, head_dim=24, linear_conv_kernel_dim=4,
    linear_key_head_dim=8, linear_value_head_dim=12, linear_num_key_heads=2,
    linear_num_value_heads=6, rms_norm_eps=1e-5)
EXPERTS = dict(
    num_experts=5, num_experts_per_tok=2, moe_intermediate_size=16,
    shared_expert_intermediate_size=24)
VISION = dict(
    depth=1, hidden_size=16, hidden_act="gelu_pytorch_tanh", intermediate_size=24, num_heads=2,
    in_channels=3, patch_size=4, spatial_merge_size=2, temporal_patch_size=2, out_hidden_size=60,
    num_position_embeddings=16)


def text_fields(**fields):
    """What a release says of the language model."""
    return {**{k: v for k, v in COMMON.items() if k not in ("rope_theta", "torch_dtype")},
            **HYBRID, "dtype": "bfloat16", "attention_bias": False, "attn_output_gate": True,
            "mamba_ssm_dtype": "float32", "mtp_num_hidden_layers": 0,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
            **fields}


def qwen3_5_text(model_type, architecture, **fields):
    return {"architectures": [architecture], "model_type": model_type, **text_fields(**fields),
            "transformers_version": "4.57.0.dev0"}


def qwen3_5(model_type, architecture, tied=False, **fields):
    """Beside a vision tower."""
    return {
        "architectures": [architecture], "model_type": model_type, "image_token_id": 90,
        "video_token_id": 91, "vision_start_token_id": 92, "vision_end_token_id": 93,
        "text_config": {"model_type": model_type + "_text",
                        **text_fields(tie_word_embeddings=tied, **fields)},
        "tie_word_embeddings": tied, "transformers_version": "4.57.0.dev0",
        "vision_config": {"model_type": model_type, **VISION}}


def qwen3_next(**fields):
    return {"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next", **COMMON,
            **HYBRID, **EXPERTS, "attention_bias": False, "decoder_sparse_step": 1,
            "full_attention_interval": 4, "mlp_only_layers": [], "norm_topk_prob": True,
            "partial_rotary_factor": 0.25, "rope_scaling": None, **fields,
            "transformers_version": "4.57.0.dev0"}


def adjust(model):
    """Norm weights near zero where 1 is added to them, and states that last for some tokens."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "visual" in name:
                continue
            if name.endswith("A_log"):
                rates = 0.02 + torch.rand(parameter.shape, generator=generator)
                parameter.copy_(rates.log())
            elif name.endswith("norm.weight") and "linear_attn" not in name:
                parameter.sub_(1)


def in_float32(weights):
    return {name: w.float() if name.endswith(("A_log", "linear_attn.norm.weight")) else w
            for name, w in weights.items()}


def stack_experts(weights):
    """Experts of a layer in one tensor, as Qwen3.5-MoE is released."""
    expert = re.compile(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.weight")
    result, stacks = {}, {}
    for name, weight in weights.items():
        match = expert.fullmatch(name)
        if match:
            stacks.setdefault(match[1], {})[match[3], int(match[2])] = weight
        else:
            result[name] = weight
    for module, parts in stacks.items():
        count = 1 + max(index for _, index in parts)
        result[f"{module}.gate_up_proj"] = torch.stack(
            [torch.cat([parts["gate", e], parts["up", e]]) for e in range(count)])
        result[f"{module}.down_proj"] = torch.stack([parts["down", e] for e in range(count)])
    return result


def add_mtp(weights, layer):
    """A layer of multi-token prediction, which is like `layer`, one with attention."""
    hidden = weights[f"{layer}.input_layernorm.weight"].numel()
    generator = torch.Generator().manual_seed(hidden)
    result = dict(weights)
    result["mtp.fc.weight"] = (
        0.08 * torch.randn(hidden, 2 * hidden, generator=generator)).bfloat16()
    for norm in ("norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden"):
        result[f"mtp.{norm}.weight"] = (0.1 * torch.randn(hidden, generator=generator)).bfloat16()
    for name, weight in weights.items():
        if name.startswith(layer + "."):
            result["mtp.layers.0" + name[len(layer):]] = weight.clone()
    return result


def rope(**fields):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                "partial_rotary_factor": 0.25, **fields}}


HYBRID_VARIANTS = {
    "qwen3_5_text": Variant(
        qwen3_5_text("qwen3_5_text", "Qwen3_5ForCausalLM", num_attention_heads=6,
                     num_key_value_heads=2, tie_word_embeddings=True), 81,
        positions=68, adjust=adjust, release=in_float32,
        controls=[rope(partial_rotary_factor=0.5), rope(rope_theta=100.0)]),
    "qwen3_5_vision": Variant(
        qwen3_5("qwen3_5", "Qwen3_5ForConditionalGeneration", tied=True, attention_bias=True,
                num_hidden_layers=3, linear_conv_kernel_dim=3, linear_num_key_heads=3,
                linear_num_value_heads=3,
                layer_types=["full_attention", "linear_attention", "linear_attention"]), 82,
        auto_class="AutoModelForImageTextToText", adjust=adjust,
        controls=[rope(partial_rotary_factor=1.0)]),
    "qwen3_5_moe_vision": Variant(
        qwen3_5("qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration", **EXPERTS,
                num_hidden_layers=2, full_attention_interval=2, num_attention_heads=6, num_key_value_heads=2,
                head_dim=16, mtp_num_hidden_layers=1,
                rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                                 "partial_rotary_factor": 0.5, "mrope_interleaved": True,
                                 "mrope_section": [2, 1, 1]}), 83,
        positions=66, auto_class="AutoModelForImageTextToText", adjust=adjust,
        release=lambda w: add_mtp(stack_experts(in_float32(w)), "model.language_model.layers.1"),
        controls=[{"num_experts_per_tok": 1}, rope(mrope_section=[2, 1, 1])]),
    "qwen3_5_moe_text": Variant(
        qwen3_5_text("qwen3_5_moe_text", "Qwen3_5MoeForCausalLM", **EXPERTS, num_hidden_layers=2,
                     layer_types=["linear_attention", "full_attention"],
                     linear_key_head_dim=12, linear_value_head_dim=8), 84,
        rewritten=True, adjust=adjust, controls=[{"num_experts_per_tok": 1}]),
    "qwen3_next": Variant(
        qwen3_next(num_hidden_layers=3, full_attention_interval=3, num_experts=4,
                   mlp_only_layers=[1]), 85,
        positions=66, adjust=adjust,
        release=lambda w: add_mtp(w, "model.layers.2"),
        controls=[{"norm_topk_prob": False}, rope(partial_rotary_factor=0.5)]),
    "qwen3_next_bias": Variant(
        qwen3_next(attention_bias=True, decoder_sparse_step=2, norm_topk_prob=False,
                   full_attention_interval=2, linear_conv_kernel_dim=2, linear_num_key_heads=3,
                   linear_num_value_heads=3, tie_word_embeddings=True), 86,
        rewritten=True, adjust=adjust,
        controls=[{"attention_bias": False}, {"norm_topk_prob": True}]),
}
