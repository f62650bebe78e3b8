"""The table of variants: config.json of each, and changes that must change its logits."""

from dataclasses import dataclass, field
from typing import Callable

COMMON = dict(
    vocab_size=96,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    hidden_act="silu",
    initializer_range=0.02,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=False,
    torch_dtype="bfloat16",
    use_cache=True,
    bos_token_id=0,
    eos_token_id=1,
)


@dataclass
class Variant:
    config: dict
    seed: int
    positions: int = 48
    rewritten: bool = False  # config.json as transformers 5 writes it, else as given here
    controls: list = field(default_factory=list)  # changes, each of which must change the logits
    auto_class: str = "AutoModelForCausalLM"
    adjust: Callable | None = None  # changes the random model
    release: Callable | None = None  # turns saved tensors into released ones
    reference: str = ""  # the model_type by which transformers computes it, if not its own
    prefix: str = ""  # before the names of a language model that is a part of another
    tower: dict = field(default_factory=dict)  # shapes of what stands beside it


def config(architecture, model_type, version, **fields):
    return {"architectures": [architecture + "ForCausalLM"], "model_type": model_type,
            **COMMON, **fields, "transformers_version": version}


def llama(**fields):
    return config("Llama", "llama", "4.37.2",
                  **{"attention_bias": False, "pretraining_tp": 1, "rope_scaling": None, **fields})


def mistral(**fields):
    return config("Mistral", "mistral", "4.42.0", **fields)


def mixtral(**fields):
    return config("Mixtral", "mixtral", "4.36.0",
                  **{"intermediate_size": 32, "num_experts_per_tok": 2, "num_local_experts": 4,
                     "output_router_logits": False, "router_aux_loss_coef": 0.02, **fields})


def qwen2(**fields):
    return config("Qwen2", "qwen2", "4.43.1", rope_scaling=None, **fields)


WINDOWED_QWEN2 = dict(
    num_hidden_layers=3, num_key_value_heads=1, use_sliding_window=True, sliding_window=16,
    max_window_layers=1, tie_word_embeddings=True)


def qwen3_moe(**fields):
    return config("Qwen3Moe", "qwen3_moe", "4.51.0", head_dim=16, rope_scaling=None,
                  use_sliding_window=False, sliding_window=None, max_window_layers=2,
                  output_router_logits=False, router_aux_loss_coef=0.001, **fields)


def deepseek_v3(**fields):
    return config("DeepseekV3", "deepseek_v3", "4.33.1", **{
        "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "attention_bias": False,
        "q_lora_rank": 24, "kv_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8,
        "v_head_dim": 16, "first_k_dense_replace": 1, "moe_layer_freq": 1,
        "moe_intermediate_size": 32, "n_routed_experts": 4, "n_shared_experts": 1,
        "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "topk_method": "noaux_tc",
        "scoring_func": "sigmoid", "norm_topk_prob": True, "routed_scaling_factor": 2.5,
        "num_nextn_predict_layers": 0, "rope_scaling": None, "ep_size": 1, **fields})


def glm4_moe(**fields):
    return config("Glm4Moe", "glm4_moe", "4.54.0", **{
        "hidden_size": 60, "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 20,
        "attention_bias": True, "use_qk_norm": False, "partial_rotary_factor": 0.5,
        "rope_scaling": None, "first_k_dense_replace": 1, "moe_intermediate_size": 20,
        "n_routed_experts": 6, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 1,
        "topk_group": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5,
        "num_nextn_predict_layers": 1, **fields})


def minimax_m2(**fields):
    return config("MiniMaxM2", "minimax_m2", "4.46.1", **{
        "hidden_size": 60, "intermediate_size": 24, "num_attention_heads": 6,
        "num_key_value_heads": 3, "head_dim": 20, "rotary_dim": 12, "rms_norm_eps": 1e-6,
        "attn_type_list": [1, 1], "layernorm_full_attention_beta": 1.0,
        "layernorm_linear_attention_beta": 1.0, "layernorm_mlp_beta": 1.0,
        "mlp_intermediate_size": 96, "mtp_transformer_layers": 1, "num_mtp_modules": 3,
        "num_experts_per_tok": 2, "num_local_experts": 5, "output_router_logits": False,
        "qk_norm_type": "per_layer", "router_aux_loss_coef": 0.001, "router_jitter_noise": 0.0,
        "scoring_func": "sigmoid", "shared_intermediate_size": 0, "shared_moe_mode": "sigmoid",
        "sliding_window": None, "use_mtp": True, "use_qk_norm": True, "use_routing_bias": True,
        **fields})


def kimi_k2(**fields):
    return {**deepseek_v3(**{
        "n_group": 1,
        "topk_group": 1, "n_routed_experts": 6, "num_experts_per_tok": 3, "rms_norm_eps": 1e-5,
        "num_attention_heads": 3, "num_key_value_heads": 3, "routed_scaling_factor": 2.827,
        "rope_theta": 50000.0, "aux_loss_alpha": 0.001, "seq_aux": True,
        "rope_scaling": {**DEEPSEEK_YARN, "beta_fast": 1.0, "mscale_all_dim": 1.0}, **fields}),
        "model_type": "kimi_k2"}


FP8 = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
       "weight_block_size": [128, 128]}
INT4 = {
    "config_groups": {"group_0": {
        "input_activations": None, "output_activations": None, "targets": ["Linear"],
        "weights": {"actorder": None, "block_structure": None, "dynamic": False,
                    "group_size": 32, "num_bits": 4, "observer": "minmax",
                    "observer_kwargs": {}, "strategy": "group", "symmetric": True,
                    "type": "int"}}},
    "format": "pack-quantized", "kv_cache_scheme": None, "quant_method": "compressed-tensors",
    "quantization_status": "compressed",
    "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*",
               "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"]}


def kimi_k25(**fields):
    return {
        "architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25",
        "bos_token_id": 0, "eos_token_id": 1, "media_placeholder_token_id": 2,
        "text_config": kimi_k2(**fields), "tie_word_embeddings": False,
        "vision_config": {"model_type": "kimi_k25", "vt_hidden_size": 24,
                          "vt_num_hidden_layers": 1, "patch_size": 2, "mm_hidden_size": 24,
                          "text_hidden_size": 64},
        "dtype": "bfloat16", "transformers_version": "4.56.2"}


KIMI_TOWER = {
    "vision_tower.patch_embed.proj.weight": (24, 3, 2, 2),
    "vision_tower.patch_embed.proj.bias": (24,),
    "vision_tower.patch_embed.pos_emb.weight": (4, 4, 24),
    "vision_tower.encoder.blocks.0.norm0.weight": (24,),
    "vision_tower.encoder.blocks.0.wqkv.weight": (72, 24),
    "vision_tower.encoder.blocks.0.wqkv.bias": (72,),
    "vision_tower.encoder.blocks.0.wo.weight": (24, 24),
    "vision_tower.encoder.blocks.0.mlp.fc0.weight": (40, 24),
    "vision_tower.encoder.blocks.0.mlp.fc1.weight": (24, 40),
    "vision_tower.encoder.final_layernorm.weight": (24,),
    "mm_projector.pre_norm.weight": (24,),
    "mm_projector.proj.0.weight": (96, 96),
    "mm_projector.proj.2.weight": (64, 96),
}

def deepseek_v32(**fields):
    return {**deepseek_v3(**{
        "num_attention_heads": 3, "num_key_value_heads": 3, "q_lora_rank": 20, "index_n_heads": 7,
        "index_head_dim": 20, "index_topk": 11, "rope_scaling": DEEPSEEK_YARN, **fields}),
        "architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32"}


def glm_moe_dsa(**fields):
    return {**deepseek_v32(**{
        "n_group": 1, "topk_group": 1, "rms_norm_eps": 1e-5, "rope_interleave": True,
        "indexer_rope_interleave": True, "rope_scaling": None, "first_k_dense_replace": 1,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, **fields}),
        "architectures": ["GlmMoeDsaForCausalLM"], "model_type": "glm_moe_dsa"}


LINEAR = {"type": "linear", "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 128}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
DEEPSEEK_YARN = {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64,
                 "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 0.707}


def plain_rope(theta=10000.0):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}


def partial_rope(factor, theta=10000.0):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta,
                                "partial_rotary_factor": factor}}


def yarn_with(**fields):
    return {"rope_parameters": {**DEEPSEEK_YARN, "rope_type": "yarn", "rope_theta": 10000.0,
                                **fields}}


VARIANTS = {
    "llama2": Variant(
        llama(num_key_value_heads=4), 11, controls=[plain_rope(100.0)]),
    "llama_linear": Variant(llama(rope_scaling=LINEAR), 12, controls=[plain_rope()]),
    "llama3_tied": Variant(
        llama(num_key_value_heads=1, rope_theta=50000.0, rope_scaling=LLAMA3, mlp_bias=False,
              head_dim=16, tie_word_embeddings=True), 13, controls=[plain_rope(50000.0)]),
    "llama_bias": Variant(
        llama(attention_bias=True, mlp_bias=True, head_dim=24), 14, rewritten=True,
        controls=[{"attention_bias": False}, {"mlp_bias": False}]),
    "llama_yarn": Variant(
        llama(num_attention_heads=2, num_key_value_heads=1, head_dim=32,
              rope_scaling={**YARN, "beta_fast": 4.0, "beta_slow": 0.5}), 15, rewritten=True,
        controls=[plain_rope(), {"rope_parameters": {**YARN, "rope_theta": 10000.0}}]),
    "mistral": Variant(
        mistral(sliding_window=None, head_dim=24), 21, rewritten=True,
        controls=[{"sliding_window": 16}]),
    "mistral_window": Variant(
        mistral(sliding_window=16), 22, controls=[{"sliding_window": w} for w in (15, 17, None)]),
    "mixtral": Variant(mixtral(sliding_window=None), 31, controls=[{"num_experts_per_tok": 1}]),
    "mixtral_window": Variant(
        mixtral(sliding_window=16, num_local_experts=3), 32, rewritten=True,
        controls=[{"sliding_window": None}]),
    "qwen2": Variant(
        qwen2(use_sliding_window=False, sliding_window=16, max_window_layers=1), 41,
        controls=[{"sliding_window": 16, "layer_types": ["full_attention", "sliding_attention"]}]),
    "qwen2_window": Variant(
        qwen2(**WINDOWED_QWEN2), 42, rewritten=True,
        controls=[{"layer_types": ["full_attention"] * 3},
                  {"layer_types": ["sliding_attention"] * 3}]),
    "qwen2_window_old": Variant(
        qwen2(**WINDOWED_QWEN2), 43, controls=[{"layer_types": ["full_attention"] * 3}]),
    "qwen3_bias": Variant(
        config("Qwen3", "qwen3", "4.51.0", num_attention_heads=6, head_dim=16, attention_bias=True,
               rope_scaling=YARN, use_sliding_window=False, sliding_window=None,
               max_window_layers=2, tie_word_embeddings=True), 51, rewritten=True,
        controls=[plain_rope(), {"attention_bias": False}]),
    "qwen3_moe_sparse": Variant(
        qwen3_moe(attention_bias=True, decoder_sparse_step=2, mlp_only_layers=[],
                  moe_intermediate_size=32, norm_topk_prob=True, num_experts=6,
                  num_experts_per_tok=3), 61,
        controls=[{"attention_bias": False}, {"norm_topk_prob": False}]),
    "deepseek_v3_no_q_lora": Variant(
        deepseek_v3(q_lora_rank=None, n_shared_experts=2, n_group=1, topk_group=1,
                    norm_topk_prob=False, first_k_dense_replace=0, moe_intermediate_size=24,
                    routed_scaling_factor=1.8), 71,
        controls=[{"norm_topk_prob": True}, {"routed_scaling_factor": 1.0}]),
    "deepseek_v3_bias": Variant(
        deepseek_v3(attention_bias=True, rope_scaling=DEEPSEEK_YARN), 72,
        controls=[{"attention_bias": False}, plain_rope(), yarn_with(mscale_all_dim=1.0),
                  yarn_with(mscale=0.5), {"topk_group": 2}]),
    "deepseek_v3_fp8": Variant(
        deepseek_v3(vocab_size=64, hidden_size=132, intermediate_size=136, num_attention_heads=4,
                    moe_intermediate_size=16, num_nextn_predict_layers=1,
                    quantization_config=FP8), 73, positions=24,
        controls=[{"topk_group": 2}]),
    "glm4_moe": Variant(
        glm4_moe(vocab_size=64, n_routed_experts=5), 81, controls=[partial_rope(1.0), {"attention_bias": False}]),
    "glm4_moe_qk_norm": Variant(
        glm4_moe(attention_bias=False, use_qk_norm=True, partial_rotary_factor=0.3,
                 rope_theta=500.0, first_k_dense_replace=0, n_shared_experts=2, n_group=3,
                 topk_group=2, norm_topk_prob=False, routed_scaling_factor=1.3,
                 num_experts_per_tok=2, num_nextn_predict_layers=0,
                 tie_word_embeddings=True), 82, rewritten=True,
        controls=[partial_rope(0.5, 500.0), {"use_qk_norm": False}, {"norm_topk_prob": True},
                  {"topk_group": 3}]),
    "minimax_m2": Variant(
        minimax_m2(rope_theta=5000.0), 91,
        controls=[partial_rope(1.0, 5000.0), {"num_experts_per_tok": 1}]),
    "minimax_m2_rewritten": Variant(
        minimax_m2(num_attention_heads=5, num_key_value_heads=1, rotary_dim=20, use_mtp=False,
                   num_local_experts=6, num_experts_per_tok=3, tie_word_embeddings=True), 92,
        rewritten=True, controls=[partial_rope(0.5)]),
    "minimax_m2_fp8": Variant(
        minimax_m2(hidden_size=132, intermediate_size=16, vocab_size=64, rms_norm_eps=1e-5,
                   quantization_config={
                       "activation_scheme": "dynamic", "fmt": "float8_e4m3fn",
                       "quant_method": "fp8", "weight_block_size": [128, 128],
                       "modules_to_not_convert": ["gate", "e_score_correction_bias",
                                                  "lm_head"]}), 93, positions=24,
        controls=[partial_rope(1.0)]),
    "kimi_k2": Variant(
        kimi_k2(), 101, reference="deepseek_v3", controls=[plain_rope(50000.0)]),
    "kimi_k2_int4": Variant(
        kimi_k2(vocab_size=64, n_routed_experts=4, num_experts_per_tok=2, rope_scaling=None,
                n_shared_experts=2, quantization_config=INT4), 102, positions=24,
        reference="deepseek_v3", controls=[{"num_experts_per_tok": 1}]),
    "kimi_k25": Variant(
        kimi_k25(num_hidden_layers=3, vocab_size=64, n_routed_experts=4, num_experts_per_tok=2,
                 moe_intermediate_size=32, quantization_config=INT4), 103,
        positions=24, reference="deepseek_v3", prefix="language_model.", tower=KIMI_TOWER,
        controls=[plain_rope(50000.0)]),
    "deepseek_v32": Variant(
        deepseek_v32(attention_bias=True), 111,
        controls=[{"index_topk": 12}, {"index_topk": 48}, {"attention_bias": False}]),
    "deepseek_v32_fp8": Variant(
        deepseek_v32(vocab_size=64, hidden_size=132, intermediate_size=136, num_hidden_layers=2,
                     moe_intermediate_size=16, num_nextn_predict_layers=1, index_topk=5,
                     index_head_dim=8, num_attention_heads=2, num_key_value_heads=2,
                     rope_scaling=None, quantization_config=FP8), 112,
        positions=24, controls=[{"index_topk": 6}]),
    "deepseek_v32_rewritten": Variant(
        deepseek_v32(n_group=1, topk_group=1, mlp_layer_types=["sparse", "dense"],
                     n_shared_experts=2,
                     index_n_heads=6, index_topk=3, norm_topk_prob=False,
                     tie_word_embeddings=True), 113,
        rewritten=True, controls=[{"index_topk": 2}, {"norm_topk_prob": True}]),
    "glm_moe_dsa": Variant(
        glm_moe_dsa(num_hidden_layers=3, vocab_size=64), 121,
        controls=[{"index_topk": 12}, {"index_topk": 48}]),
    "glm_moe_dsa_shared": Variant(
        glm_moe_dsa(num_hidden_layers=4, index_topk=256, index_topk_freq=2,
                    index_skip_topk_offset=1, vocab_size=64, n_routed_experts=3,
                    moe_intermediate_size=16, n_shared_experts=2), 122, rewritten=True,
        controls=[{"index_topk": 24}]),
}
