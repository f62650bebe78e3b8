"""Variants of families whose layers differ from Llama's in norms, factors and gates."""

import torch
from variants import COMMON, YARN, Variant, config, plain_rope


def olmo2(**fields):
    return config("Olmo2", "olmo2", "4.47.0", **{
        "num_attention_heads": 6, "head_dim": 16, "rope_scaling": None, **fields})


def granite(**fields):
    return config("Granite", "granite", "4.46.0", **{
        "num_attention_heads": 6, "head_dim": 16, "rope_scaling": None, "attention_bias": False,
        "mlp_bias": False, "attention_multiplier": 0.4, "embedding_multiplier": 6.0,
        "logits_scaling": 3.0, "residual_multiplier": 0.22, **fields})


def glm4(**fields):
    return config("Glm4", "glm4", "4.52.0", **{
        "num_attention_heads": 6, "head_dim": 24, "attention_bias": True,
        "partial_rotary_factor": 0.5, "pad_token_id": 1, **fields})


def phi3(**fields):
    return config("Phi3", "phi3", "4.45.0", **{
        "hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 3,
        "original_max_position_embeddings": 256, "rope_scaling": None, "sliding_window": None,
        "pad_token_id": 1, **fields})


LONG = {"type": "longrope", "short_factor": [1.0 + 0.05 * i for i in range(6)],
        "long_factor": [1.5 + 0.7 * i for i in range(6)]}


def partial_rope(factor):
    return {"rope_parameters": {**plain_rope()["rope_parameters"], "partial_rotary_factor": factor}}


def gemma3_text(**fields):
    common = {name: value for name, value in COMMON.items()
              if name not in ("hidden_act", "tie_word_embeddings", "rope_theta")}
    return {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", **common,
            "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "head_dim": 24,
            "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 20,
            "sliding_window": 16, "sliding_window_pattern": 2, "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0, "rope_scaling": None, "pad_token_id": 0, **fields,
            "transformers_version": "4.50.0"}


def kinds_of_rope(full=1000000.0, sliding=10000.0):
    return {"rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": full},
        "sliding_attention": {"rope_type": "default", "rope_theta": sliding}}}


def ministral3(**fields):
    return config("Ministral3", "ministral3", "5.0.0", **{
        "num_attention_heads": 6, "head_dim": 24, "sliding_window": None, "pad_token_id": 1,
        "rope_parameters": GROWTH, **fields})


GROWTH = {"rope_type": "yarn", "type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
          "original_max_position_embeddings": 16, "max_position_embeddings": 256,
          "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
          "llama_4_scaling_beta": 0.3}
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2,
         "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}


def gemma3():
    text = gemma3_text(rope_scaling={"factor": 8.0, "rope_type": "linear"}, attention_bias=True,
                       num_key_value_heads=3)
    for name in ("architectures", "torch_dtype", "transformers_version"):
        text.pop(name)
    return {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
            "boi_token_index": 90, "eoi_token_index": 91, "image_token_index": 92,
            "initializer_range": 0.02, "mm_tokens_per_image": 4, "text_config": text,
            "torch_dtype": "bfloat16", "transformers_version": "4.50.0",
            "vision_config": {**TOWER, "model_type": "siglip_vision_model",
                              "vision_use_head": False}}


def mistral3():
    text = config("Mistral", "mistral", "4.50.0", num_attention_heads=6, head_dim=16,
                  sliding_window=None)
    for name in ("architectures", "torch_dtype", "transformers_version"):
        text.pop(name)
    return {"architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3",
            "image_token_index": 10, "multimodal_projector_bias": False,
            "projector_hidden_act": "gelu", "spatial_merge_size": 2,
            "text_config": text, "tie_word_embeddings": False,
            "torch_dtype": "bfloat16", "transformers_version": "4.50.0",
            "vision_config": {**TOWER, "model_type": "pixtral", "head_dim": 8,
                              "hidden_act": "silu", "num_channels": 3, "rope_theta": 10000.0},
            "vision_feature_layer": -1}


def gpt_oss(**fields):
    common = {name: value for name, value in COMMON.items() if name != "rope_theta"}
    return {"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", **common,
            "hidden_size": 96, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 6, "head_dim": 16, "attention_bias": True,
            "num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": 16,
            "swiglu_limit": 1.5, "rope_theta": 150000, "rope_scaling": {
                "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
                "beta_fast": 8.0, "beta_slow": 1.0, "truncate": False},
            "router_aux_loss_coef": 0.9, "output_router_logits": False, "pad_token_id": 1,
            **fields, "transformers_version": "4.55.0"}


MXFP4_GROUP = 32
E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def to_mxfp4(matrices):
    """[E, K, N] as released: blocks [E, N, K / 32, 16], two values a byte, and scales."""
    groups = matrices.float().transpose(1, 2).unflatten(-1, (-1, MXFP4_GROUP))
    exponents = torch.ceil(torch.log2(groups.abs().amax(-1) / 6)).clamp(-127, 127)
    scaled = groups / torch.exp2(exponents).unsqueeze(-1)
    codes = (scaled.abs().unsqueeze(-1) - E2M1).abs().argmin(-1) + 8 * (scaled < 0)
    low, high = codes[..., 0::2], codes[..., 1::2]
    return (low + 16 * high).to(torch.uint8), (exponents + 127).to(torch.uint8)


def release_mxfp4(weights):
    result = {}
    for name, weight in weights.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            result[name] = weight
            continue
        result[name + "_blocks"], result[name + "_scales"] = to_mxfp4(weight)
    return result


BLOCK_VARIANTS = {
    "olmo2": Variant(
        olmo2(), 81, controls=[plain_rope(100.0)]),
    "olmo2_bias": Variant(
        olmo2(attention_bias=True, head_dim=24, num_key_value_heads=6, tie_word_embeddings=True,
              rope_scaling=YARN), 82, rewritten=True,
        controls=[{"attention_bias": False}, plain_rope()]),
    "granite": Variant(
        granite(), 83,
        controls=[{"attention_multiplier": 0.25}, {"embedding_multiplier": 1.0},
                  {"logits_scaling": 1.0}, {"residual_multiplier": 1.0}]),
    "granite_bias": Variant(
        granite(attention_bias=True, mlp_bias=True, head_dim=24, embedding_multiplier=4.3,
                tie_word_embeddings=True), 84, rewritten=True,
        controls=[{"attention_bias": False}, {"mlp_bias": False}]),
    "glm4": Variant(
        glm4(), 85, controls=[{"attention_bias": False}, partial_rope(1.0)]),
    "glm4_gelu": Variant(
        glm4(attention_bias=False, partial_rotary_factor=0.25, hidden_act="gelu",
             tie_word_embeddings=True), 86, rewritten=True,
        controls=[{"hidden_act": "silu"}, partial_rope(0.5)]),
    "phi3": Variant(
        phi3(sliding_window=16), 87,
        controls=[{"sliding_window": None}, plain_rope(100.0)]),
    "phi3_short": Variant(
        phi3(partial_rotary_factor=0.75, rope_scaling=LONG, original_max_position_embeddings=48,
             max_position_embeddings=4096, tie_word_embeddings=True), 88,
        controls=[partial_rope(0.75)]),
    "phi3_long": Variant(
        phi3(partial_rotary_factor=0.75, rope_scaling=LONG, original_max_position_embeddings=47,
             max_position_embeddings=4096), 89, rewritten=True,
        controls=[partial_rope(0.75)]),
    "gemma3_text": Variant(
        gemma3_text(), 101,
        controls=[{"query_pre_attn_scalar": 80}, {"sliding_window": 17}, kinds_of_rope(10000.0),
                  kinds_of_rope(sliding=1000000.0), {"hidden_activation": "silu"}]),
    "gemma3_rewritten": Variant(
        gemma3_text(num_key_value_heads=1, sliding_window_pattern=3, tie_word_embeddings=False,
                    final_logit_softcapping=4.0), 102, rewritten=True,
        controls=[{"layer_types": ["sliding_attention"] * 3}, {"final_logit_softcapping": None}]),
    "gemma3": Variant(
        gemma3(), 103, auto_class="AutoModelForImageTextToText",
        controls=[{"attention_bias": False}, kinds_of_rope()]),
    "ministral3": Variant(
        ministral3(), 104,
        controls=[{"rope_parameters": {**GROWTH, "rope_type": "default"}},
                  {"rope_parameters": {**GROWTH, "llama_4_scaling_beta": 0.0}}]),
    "mistral3": Variant(
        mistral3(), 105, auto_class="AutoModelForImageTextToText", controls=[plain_rope(100.0)]),
    "gpt_oss": Variant(
        gpt_oss(quantization_config={
            "quant_method": "mxfp4",
            "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                       "model.embed_tokens", "lm_head"]}), 106,
        release=release_mxfp4,
        controls=[{"sliding_window": 17}, {"swiglu_limit": 7.0}, {"num_experts_per_tok": 1},
                  {"rope_parameters": {"rope_type": "default", "rope_theta": 150000.0}},
                  {"rope_parameters": {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 4.0,
                                       "original_max_position_embeddings": 64, "beta_fast": 8.0,
                                       "beta_slow": 1.0, "truncate": True}}]),
    "gpt_oss_bf16": Variant(
        gpt_oss(hidden_size=48, num_local_experts=4, swiglu_limit=7.0, num_key_value_heads=3,
                num_hidden_layers=3, tie_word_embeddings=True), 107,
        rewritten=True, controls=[{"layer_types": ["full_attention"] * 3}]),
}
