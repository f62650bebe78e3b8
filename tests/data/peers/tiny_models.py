"""Small random models whose weight rows differ in magnitude, as those of real models do."""

import torch
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

VOCABULARY = 64
COMMON = dict(
    vocab_size=VOCABULARY,
    hidden_size=128,
    intermediate_size=256,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    max_position_embeddings=128,
    bos_token_id=0,
    eos_token_id=1,
)


def randomise(model, seed, scale=0.03):
    """Gaussian rows of log-normal magnitude; norm weights near one, biases near zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                parameter.copy_(0.1 * noise if name.endswith("bias") else 1 + 0.1 * noise)
                continue
            magnitude = torch.exp(0.5 * torch.randn(parameter.shape[:-1], generator=generator))
            parameter.copy_(scale * magnitude.unsqueeze(-1) * noise)
    biases = {name: buffer for name, buffer in model.named_buffers() if "correction_bias" in name}
    model = model.to(torch.bfloat16).eval()
    for name, bias in biases.items():  # F32 in released models too
        model.get_buffer(name).data = 0.1 * torch.randn(bias.shape, generator=generator)
    return model


def llama(tied=False, seed=1):
    config = LlamaConfig(
        architectures=["LlamaForCausalLM"], tie_word_embeddings=tied, **COMMON)
    return randomise(LlamaForCausalLM(config), seed)


def qwen3_moe(seed=2, experts=6):
    config = Qwen3MoeConfig(
        architectures=["Qwen3MoeForCausalLM"],
        tie_word_embeddings=False,
        moe_intermediate_size=64,
        num_experts=experts,
        num_experts_per_tok=2,
        norm_topk_prob=True,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        **COMMON,
    )
    return randomise(Qwen3MoeForCausalLM(config), seed)


def mixtral(seed=5, experts=4):
    """One layer; experts named w1, w2, w3."""
    config = MixtralConfig(
        architectures=["MixtralForCausalLM"],
        tie_word_embeddings=False,
        num_local_experts=experts,
        num_experts_per_tok=2,
        **{**COMMON, "intermediate_size": 64, "num_hidden_layers": 1},
    )
    return randomise(MixtralForCausalLM(config), seed)


def deepseek_v3(seed=4, experts=6):
    """Latent attention; layer 0 dense, layer 1 with routed and shared experts."""
    config = DeepseekV3Config(
        architectures=["DeepseekV3ForCausalLM"],
        tie_word_embeddings=False,
        moe_intermediate_size=64,
        n_routed_experts=experts,
        num_experts_per_tok=2,
        n_shared_experts=1,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        q_lora_rank=64,
        kv_lora_rank=48,
        qk_rope_head_dim=16,
        qk_nope_head_dim=16,
        v_head_dim=32,
        num_nextn_predict_layers=0,
        **{**COMMON, "head_dim": 16, "num_key_value_heads": 4},
    )
    return randomise(DeepseekV3ForCausalLM(config), seed)


def samples(count=8, length=16, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(0, VOCABULARY, (1, length), generator=generator) for _ in range(count)
    ]
