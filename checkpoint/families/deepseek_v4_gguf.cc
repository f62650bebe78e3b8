#include "checkpoint/families/deepseek_v4_gguf.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/deepseek_v4_names.h"
#include "checkpoint/families/gguf_keys.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {
namespace {

namespace names = deepseek_v4;
using names::Below;

// Names below a layer, and of what is in none, to llama.cpp's.
class GgufNames {
 public:
  GgufNames() {
    AddWeight(names::kEmbedding, "token_embd.weight");
    AddWeight(names::kLastNorm, "output_norm.weight");
    AddWeight(names::kHead, "output.weight");
    AddStreams(names::kStreamHead,
               {"output_hc_fn.weight", "output_hc_base.weight", "output_hc_scale.weight"});
    AddStreams(names::kAttentionStreams,
               {"hc_attn_fn.weight", "hc_attn_base.weight", "hc_attn_scale.weight"});
    AddStreams(names::kFfnStreams,
               {"hc_ffn_fn.weight", "hc_ffn_base.weight", "hc_ffn_scale.weight"});
    AddWeight(names::kAttentionNorm, "attn_norm.weight");
    AddWeight(names::kFfnNorm, "ffn_norm.weight");
    AddAttention();
    AddFfn();
  }

  std::string_view Find(std::string_view name) const {
    const auto found = names_.find(std::string(name));
    return found == names_.end() ? std::string_view() : found->second;
  }

 private:
  struct Streams {
    std::string_view fn, base, scale;
  };

  void AddWeight(std::string_view module, std::string_view gguf) {
    names_.emplace(std::string(module).append(kWeightSuffix), gguf);
  }

  void AddStreams(std::string_view prefix, const Streams& gguf) {
    const std::string begin(prefix);
    names_.emplace(begin + std::string(names::kStreamFn), gguf.fn);
    names_.emplace(begin + std::string(names::kStreamBase), gguf.base);
    names_.emplace(begin + std::string(names::kStreamScale), gguf.scale);
  }

  void AddAttention() {
    const auto below = [](std::string_view name) { return Below(names::kAttention, name); };
    names_.emplace(below(names::kSink), "attn_sinks.weight");
    AddWeight(below(names::kWqA), "attn_q_a.weight");
    AddWeight(below(names::kWqB), "attn_q_b.weight");
    AddWeight(below(names::kQNorm), "attn_q_a_norm.weight");
    AddWeight(below(names::kWkv), "attn_kv.weight");
    AddWeight(below(names::kKvNorm), "attn_kv_a_norm.weight");
    AddWeight(below(names::kWoA), "attn_output_a.weight");
    AddWeight(below(names::kWoB), "attn_output_b.weight");
    AddCompressor(below(names::kCompressor),
                  {"attn_compressor_ape.weight", "attn_compressor_kv.weight",
                   "attn_compressor_gate.weight", "attn_compressor_norm.weight"});
    const std::string indexer = below(names::kIndexer);
    AddWeight(Below(indexer, names::kWqB), "indexer.attn_q_b.weight");
    AddWeight(Below(indexer, names::kWeightsProjection), "indexer.proj.weight");
    AddCompressor(Below(indexer, names::kCompressor),
                  {"indexer_compressor_ape.weight", "indexer_compressor_kv.weight",
                   "indexer_compressor_gate.weight", "indexer_compressor_norm.weight"});
  }

  struct Compressor {
    std::string_view positions, wkv, wgate, norm;
  };
  void AddCompressor(const std::string& module, const Compressor& gguf) {
    names_.emplace(Below(module, names::kPositions), gguf.positions);
    AddWeight(Below(module, names::kWkv), gguf.wkv);
    AddWeight(Below(module, names::kWgate), gguf.wgate);
    AddWeight(Below(module, names::kNorm), gguf.norm);
  }

  void AddFfn() {
    const auto below = [](std::string_view name) { return Below(names::kFfn, name); };
    const std::string router = below(names::kRouter);
    AddWeight(router, "ffn_gate_inp.weight");
    names_.emplace(router + ".bias", "exp_probs_b.bias");
    names_.emplace(Below(router, names::kTokenExperts), "ffn_gate_tid2eid.weight");
    AddExpert(below(names::kSharedExperts),
              {"ffn_gate_shexp.weight", "ffn_down_shexp.weight", "ffn_up_shexp.weight"});
    AddExpert(below(names::kExperts),
              {"ffn_gate_exps.weight", "ffn_down_exps.weight", "ffn_up_exps.weight"});
  }

  struct Expert {
    std::string_view gate, down, up;
  };
  void AddExpert(const std::string& module, const Expert& gguf) {
    AddWeight(Below(module, names::kW1), gguf.gate);
    AddWeight(Below(module, names::kW2), gguf.down);
    AddWeight(Below(module, names::kW3), gguf.up);
  }

  std::unordered_map<std::string, std::string_view> names_;
};

// "attn.wq_a.weight" of "layers.3.attn.wq_a.weight", and any expert's name without its number.
std::string WithoutNumbers(std::string_view name) {
  if (!name.starts_with(names::kLayers)) return std::string(name);
  name.remove_prefix(names::kLayers.size());
  std::string below(name.substr(std::min(name.find('.'), name.size() - 1) + 1));
  const std::string experts = Below(names::kFfn, names::kExperts) + ".";
  if (!below.starts_with(experts)) return below;
  const size_t end = below.find('.', experts.size());
  return end == std::string::npos ? below : experts + below.substr(end + 1);
}

void AddV4Rope(const DeepseekV4Config& config, gguf::MetadataBuilder& out) {
  if (config.yarn.factor != 1) {
    out.Add("rope.scaling.type", "yarn");
    out.AddNumber("rope.scaling.factor", config.yarn.factor);
    out.AddCount("rope.scaling.original_context_length",
                 static_cast<int64_t>(config.yarn.original_max_position_embeddings));
    out.AddNumber("rope.scaling.yarn_beta_fast", config.yarn.beta_fast);
    out.AddNumber("rope.scaling.yarn_beta_slow", config.yarn.beta_slow);
  }
  out.AddNumber("rope.freq_base", config.rope_theta);
  out.AddCount("rope.dimension_count", config.qk_rope_head_dim);
}

void AddV4Experts(const DeepseekV4Config& config, gguf::MetadataBuilder& out) {
  out.AddCount("expert_count", config.n_routed_experts);
  out.AddCount("expert_used_count", config.num_experts_per_tok);
  out.Add("expert_gating_func", static_cast<uint32_t>(gguf::Gating::kSqrtSoftplus));
  out.AddCount("expert_feed_forward_length", config.moe_intermediate_size);
  out.AddCount("expert_shared_count", config.n_shared_experts);
  out.AddNumber("expert_weights_scale", config.routed_scaling_factor);
  out.Add("expert_weights_norm", config.norm_topk_prob);
  const std::vector<float> clamps(config.blocks.size(), static_cast<float>(config.swiglu_limit));
  out.Add("swiglu_clamp_exp", clamps);
  out.Add("swiglu_clamp_shexp", clamps);
  out.AddCount("hash_layer_count", std::ranges::count_if(config.blocks, &DeepseekV4Block::hashes));
}

void AddAttention(const DeepseekV4Config& config, gguf::MetadataBuilder& out) {
  out.AddCount("attention.key_length", config.head_dim);
  out.AddCount("attention.value_length", config.head_dim);
  out.AddCount("attention.q_lora_rank", config.q_lora_rank);
  out.AddCount("attention.sliding_window", config.sliding_window);
  out.AddCount("attention.indexer.head_count", config.index_n_heads);
  out.AddCount("attention.indexer.key_length", config.index_head_dim);
  out.AddCount("attention.indexer.top_k", config.index_topk);
  out.AddCount("attention.output_group_count", config.o_groups);
  out.AddCount("attention.output_lora_rank", config.o_lora_rank);
  std::vector<int32_t> ratios;
  for (const DeepseekV4Block& block : config.blocks) {
    ratios.push_back(static_cast<int32_t>(block.compress_ratio));
  }
  // An entry of the list for each MTP layer too, as releases have them: window layers.
  ratios.resize(ratios.size() + static_cast<size_t>(config.num_nextn_predict_layers));
  out.Add("attention.compress_ratios", std::move(ratios));
  out.AddNumber("attention.compress_rope_freq_base", config.compress_rope_theta);
}

}  // namespace

GgufModel GgufOfDeepseekV4(const DeepseekV4Config& config, const Json& json) {
  gguf::CheckYarn({.beta_fast = config.yarn.beta_fast, .beta_slow = config.yarn.beta_slow},
                  ConfigReader(json));
  gguf::MetadataBuilder out;
  out.AddSizes({.layers = config.layers(),
                .hidden = config.hidden_size,
                .ffn = 0,
                .heads = config.num_attention_heads,
                .key_value_heads = 1,
                .norm_eps = config.rms_norm_eps},
               ConfigReader(json));
  out.AddCount("vocab_size", config.vocab_size);
  AddV4Rope(config, out);
  AddAttention(config, out);
  AddV4Experts(config, out);
  out.AddCount("hyper_connection.count", config.hc_mult);
  out.AddCount("hyper_connection.sinkhorn_iterations", config.hc_sinkhorn_iters);
  out.AddNumber("hyper_connection.epsilon", config.hc_eps);
  out.AddCount("embedding_length_out", config.hidden_size * config.hc_mult);
  return {.architecture = "deepseek4", .metadata = std::move(out).Take(), .rope_factors = {}};
}

GgufTensor GgufTensorOfDeepseekV4(std::string_view name) {
  static const GgufNames names;
  return {.name = names.Find(WithoutNumbers(name)), .fp8_as_q8_zero = true};
}

}  // namespace vernier::checkpoint
