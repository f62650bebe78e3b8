#include "checkpoint/families/hf_gguf.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/gguf_keys.h"

namespace vernier::checkpoint {
namespace {

using gguf::MetadataBuilder;

constexpr double kFactorTolerance = 1e-6;

const Json* RopeSection(const Json& config) {
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(name);
    if (found != config.end() && found->is_object() && !found->empty()) return &*found;
  }
  return nullptr;
}

// Factors by which llama.cpp divides the frequencies: those of "llama3" (transformers'
// modeling_rope_utils.py, _compute_llama3_parameters), in F32 with reciprocals for quotients as
// PyTorch has them, so that they are the converter's to the last bit.
std::vector<float> Llama3Factors(const RopeConfig& rope, int64_t channels) {
  const auto positions = static_cast<float>(rope.original_positions),
             low = static_cast<float>(rope.low_freq_factor),
             high = static_cast<float>(rope.high_freq_factor),
             factor = static_cast<float>(rope.factor);
  std::vector<float> factors;
  for (int64_t i = 0; i < channels; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(channels);
    const float frequency =
        1 / static_cast<float>(std::pow(rope.theta, static_cast<double>(exponent)));
    const float length = 1 / frequency * (2 * std::numbers::pi_v<float>);
    const float smooth = (1 / length * positions - low) / (high - low);
    if (length < positions / high) {
      factors.push_back(1);
    } else if (length > positions / low) {
      factors.push_back(factor);
    } else {
      factors.push_back(1 / ((1 - smooth) / factor + smooth));
    }
  }
  return factors;
}

void AddYarn(const RopeConfig& rope, const Json& section, MetadataBuilder& out) {
  const ConfigReader reader(section, "rope_scaling.");
  out.Add("rope.scaling.type", "yarn");
  out.AddNumber("rope.scaling.factor", rope.factor);
  out.AddCount("rope.scaling.original_context_length",
               static_cast<int64_t>(rope.original_positions));
  if (reader.Find("attention_factor") != nullptr) {
    out.AddNumber("rope.scaling.yarn_attn_factor", rope.attention_factor);
  }
  if (reader.Find("beta_fast") != nullptr) {
    out.AddNumber("rope.scaling.yarn_beta_fast", rope.beta_fast);
  }
  if (reader.Find("beta_slow") != nullptr) {
    out.AddNumber("rope.scaling.yarn_beta_slow", rope.beta_slow);
  }
}

void AddRope(const DecoderConfig& config, const Json& json, MetadataBuilder& out) {
  const RopeConfig& rope = config.rope;
  if (rope.type == RopeType::kLinear) {
    out.Add("rope.scaling.type", "linear");
    out.AddNumber("rope.scaling.factor", rope.factor);
  }
  if (rope.type == RopeType::kYarn) AddYarn(rope, *RopeSection(json), out);
  out.AddNumber("rope.freq_base", rope.theta);
}

// llama.cpp has rope_freqs for one architecture alone.
void CheckRope(const DecoderConfig& config, const Json& json) {
  const RopeConfig& rope = config.rope;
  if (rope.type == RopeType::kLlama3 && !config.gguf.rotary_pairs) {
    ConfigReader(json).Fail("rope_scaling",
                            "is \"llama3\", which llama.cpp does not compute for "
                            "this architecture");
  }
  if (rope.type != RopeType::kYarn) return;
  gguf::CheckYarn({.beta_fast = rope.beta_fast, .beta_slow = rope.beta_slow}, ConfigReader(json));
  const bool latent = config.blocks.front().attention.kind == AttentionKind::kLatent;
  const double usual = latent && rope.score_factor != 1 ? 1 : 0.1 * std::log(rope.factor) + 1;
  if (!rope.truncate || std::fabs(rope.attention_factor - usual) > kFactorTolerance) {
    ConfigReader(json).Fail("rope_scaling",
                            "has a truncate, an attention_factor or an mscale that "
                            "llama.cpp does not compute with");
  }
}

void AddExperts(const ExpertsConfig& experts, const ConfigReader& reader, MetadataBuilder& out) {
  out.AddCount("expert_count", experts.count);
  out.AddCount("expert_used_count", experts.per_token);
  out.AddCountOf("expert_group_count", reader, "n_group");
  out.AddCountOf("expert_group_used_count", reader, "topk_group");
  if (reader.Find("moe_intermediate_size") != nullptr) {
    out.AddCount("expert_feed_forward_length", experts.width);
  }
}

void AddGroupedQuery(const DecoderConfig& config, const ConfigReader& reader,
                     MetadataBuilder& out) {
  const int64_t head_dim = config.blocks.front().attention.grouped_query.head_dim;
  if (reader.Find("head_dim") != nullptr || config.gguf.rotary_pairs) {
    out.AddCount("attention.key_length", head_dim);
    out.AddCount("attention.value_length", head_dim);
  }
  if (config.gguf.rotary_pairs) out.AddCount("rope.dimension_count", head_dim);
}

// Keys and values as one head's latent vectors, which the projections of heads were moved into.
void AddLatent(const DecoderConfig& config, const Json& json, MetadataBuilder& out) {
  const LatentAttentionConfig& latent = config.blocks.front().attention.latent;
  const ConfigReader reader(json);
  if (!latent.interleaved) {
    reader.Fail("rope_interleave", "is false, which llama.cpp does not compute");
  }
  if (latent.q_lora_rank > 0) {
    out.AddCount("attention.q_lora_rank", latent.q_lora_rank);
  } else if (config.layers() != 26 && config.layers() != 27) {
    // By whose number llama.cpp knows the models without it (deepseek2.cpp, is_lite).
    reader.Fail("q_lora_rank", "is absent, which llama.cpp knows of models of 26 or 27 layers");
  }
  out.AddCount("attention.kv_lora_rank", latent.kv_lora_rank);
  out.AddCount("attention.key_length", latent.kv_lora_rank + latent.qk_rope_head_dim);
  out.AddCount("attention.value_length", latent.kv_lora_rank);
  out.AddCount("attention.key_length_mla", latent.qk_head_dim());
  out.AddCount("attention.value_length_mla", latent.v_head_dim);
  out.AddCount("rope.dimension_count", latent.qk_rope_head_dim);
  const Json* section = RopeSection(json);
  if (section == nullptr || !section->contains("mscale_all_dim")) return;
  // A tenth of it: llama.cpp's deepseek2 has the factor of YaRN's temperature in the file.
  const ConfigReader rope(*section, "rope_scaling.");
  out.AddNumber("rope.scaling.yarn_log_multiplier",
                0.1 * rope.Number("mscale_all_dim", /*allow_zero=*/true));
}

void AddDeepseekExperts(const DecoderConfig& config, const ExpertsConfig& experts,
                        const ConfigReader& reader, MetadataBuilder& out) {
  const auto dense = std::ranges::find_if(config.blocks, &DecoderBlock::routed);
  out.AddCount("leading_dense_block_count", dense - config.blocks.begin());
  out.AddCount("expert_shared_count", reader.IntegerOr("n_shared_experts", 0, 0));
  out.AddNumber("expert_weights_scale", experts.scaling_factor);
  if (experts.normalize) out.Add("expert_weights_norm", true);
  out.Add("expert_gating_func", static_cast<uint32_t>(gguf::Gating::kSigmoid));
}

// Blocks of one kind after each other: llama.cpp knows no other order.
void CheckBlocks(const DecoderConfig& config, const Json& json) {
  const auto first = std::ranges::find_if(config.blocks, &DecoderBlock::routed);
  const bool leading = config.blocks.front().attention.kind == AttentionKind::kLatent;
  if (first == config.blocks.end()) return;
  if (!std::all_of(first, config.blocks.end(), [](const auto& block) { return block.routed(); }) ||
      (!leading && first != config.blocks.begin())) {
    ConfigReader(json).Fail("mlp_only_layers",
                            "or decoder_sparse_step leaves dense layers, which llama.cpp does not "
                            "compute for this architecture");
  }
}

}  // namespace

std::optional<GgufModel> GgufOf(const DecoderConfig& config, const Json& json) {
  if (config.gguf.name.empty()) return std::nullopt;
  CheckRope(config, json);
  CheckBlocks(config, json);
  const ConfigReader reader(json);
  if (config.gate != GateConfig()) {
    reader.Fail("hidden_act", "is not silu, which llama.cpp computes for this architecture");
  }
  const AttentionBlock& attention = config.blocks.front().attention;
  const bool latent = attention.kind == AttentionKind::kLatent;
  MetadataBuilder out;
  out.AddSizes({.layers = config.layers(),
                .hidden = config.hidden_size,
                .ffn = reader.IntegerOr("intermediate_size", 0, 0),
                .heads = attention.heads,
                .key_value_heads = latent ? 1 : attention.grouped_query.key_value_heads,
                .norm_eps = config.norm_eps},
               reader);
  out.AddCount("vocab_size", config.vocab_size);
  AddRope(config, json, out);
  const auto routed = std::ranges::find_if(config.blocks, &DecoderBlock::routed);
  if (routed != config.blocks.end()) {
    AddExperts(routed->ffn.experts, reader, out);
    if (latent) AddDeepseekExperts(config, routed->ffn.experts, reader, out);
  }
  if (latent) {
    AddLatent(config, json, out);
  } else {
    AddGroupedQuery(config, reader, out);
  }
  GgufModel model{.architecture = std::string(config.gguf.name),
                  .metadata = std::move(out).Take(),
                  .rope_factors = {}};
  if (config.rope.type == RopeType::kLlama3) {
    model.rope_factors = Llama3Factors(config.rope, attention.grouped_query.head_dim);
  }
  return model;
}

}  // namespace vernier::checkpoint
