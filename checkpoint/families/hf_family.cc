#include "checkpoint/families/hf_family.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "checkpoint/families/generic_names.h"
#include "checkpoint/families/kv_cache.h"
#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {
namespace {

class HfInventory {
 public:
  explicit HfInventory(const DecoderConfig& config) : config_(config) {}

  std::vector<ExpectedTensor> Take() && {
    Add("model.embed_tokens.weight", {config_.vocab_size, config_.hidden_size});
    for (int64_t layer = 0; layer < config_.layers; ++layer) AddLayer(layer);
    Add("model.norm.weight", {config_.hidden_size});
    if (!config_.tied_embeddings) {
      Add("lm_head.weight", {config_.vocab_size, config_.hidden_size});
    }
    return std::move(tensors_);
  }

 private:
  void Add(std::string name, std::vector<int64_t> shape) {
    tensors_.push_back({std::move(name), std::move(shape)});
  }

  void AddLinear(const std::string& module, int64_t rows, int64_t columns, bool bias) {
    Add(module + ".weight", {rows, columns});
    if (bias) Add(module + ".bias", {rows});
  }

  void AddLayer(int64_t layer) {
    const std::string prefix = DecoderLayerPrefix(layer);
    Add(prefix + "input_layernorm.weight", {config_.hidden_size});
    if (config_.latent_attention) {
      AddLatentAttention(prefix + "self_attn.");
    } else {
      AddGroupedQueryAttention(prefix + "self_attn.");
    }
    Add(prefix + "post_attention_layernorm.weight", {config_.hidden_size});
    const std::string ffn = prefix + config_.names.module + ".";
    if (config_.routed[static_cast<size_t>(layer)]) {
      AddExperts(ffn);
    } else {
      AddMlp(ffn, config_.dense_mlp_width, config_.mlp_bias);
    }
  }

  void AddGroupedQueryAttention(const std::string& prefix) {
    const GroupedQueryConfig& attention = config_.grouped_query;
    const int64_t queries = config_.heads * attention.head_dim;
    const int64_t keys = attention.key_value_heads * attention.head_dim;
    AddLinear(prefix + "q_proj", queries, config_.hidden_size, attention.qkv_bias);
    AddLinear(prefix + "k_proj", keys, config_.hidden_size, attention.qkv_bias);
    AddLinear(prefix + "v_proj", keys, config_.hidden_size, attention.qkv_bias);
    AddLinear(prefix + "o_proj", config_.hidden_size, queries, attention.output_bias);
    if (!attention.qk_norm) return;
    Add(prefix + "q_norm.weight", {attention.head_dim});
    Add(prefix + "k_norm.weight", {attention.head_dim});
  }

  void AddLatentAttention(const std::string& prefix) {
    const LatentAttentionConfig& latent = config_.latent;
    const int64_t queries = config_.heads * latent.qk_head_dim();
    if (latent.q_lora_rank == 0) {
      AddLinear(prefix + "q_proj", queries, config_.hidden_size, false);
    } else {
      AddLinear(prefix + "q_a_proj", latent.q_lora_rank, config_.hidden_size, latent.bias);
      Add(prefix + "q_a_layernorm.weight", {latent.q_lora_rank});
      AddLinear(prefix + "q_b_proj", queries, latent.q_lora_rank, false);
    }
    AddLinear(prefix + "kv_a_proj_with_mqa", latent.kv_lora_rank + latent.qk_rope_head_dim,
              config_.hidden_size, latent.bias);
    Add(prefix + "kv_a_layernorm.weight", {latent.kv_lora_rank});
    AddLinear(prefix + "kv_b_proj", config_.heads * (latent.qk_nope_head_dim + latent.v_head_dim),
              latent.kv_lora_rank, false);
    AddLinear(prefix + "o_proj", config_.hidden_size, config_.heads * latent.v_head_dim,
              latent.bias);
  }

  void AddMlp(const std::string& prefix, int64_t width, bool bias) {
    AddLinear(prefix + config_.names.gate, width, config_.hidden_size, bias);
    AddLinear(prefix + config_.names.up, width, config_.hidden_size, bias);
    AddLinear(prefix + config_.names.down, config_.hidden_size, width, bias);
  }

  void AddExperts(const std::string& prefix) {
    const ExpertsConfig& experts = config_.experts;
    Add(prefix + "gate.weight", {experts.count, config_.hidden_size});
    if (experts.correction_bias) Add(prefix + "gate.e_score_correction_bias", {experts.count});
    for (int64_t expert = 0; expert < experts.count; ++expert) {
      AddMlp(prefix + "experts." + std::to_string(expert) + ".", experts.width, false);
    }
    if (experts.shared_width > 0) AddMlp(prefix + "shared_experts.", experts.shared_width, false);
  }

  const DecoderConfig& config_;
  std::vector<ExpectedTensor> tensors_;
};

class HfFolds {
 public:
  HfFolds(const DecoderConfig& config, const ModelLayout& layout)
      : config_(config), layout_(layout) {}

  std::vector<Fold> Take() && {
    for (int64_t layer = 0; layer < config_.layers; ++layer) {
      const std::string prefix = DecoderLayerPrefix(layer);
      AddAttention(prefix);
      const std::string ffn = prefix + config_.names.module + ".";
      const std::string norm = prefix + "post_attention_layernorm";
      if (config_.routed[static_cast<size_t>(layer)]) {
        AddExperts(norm, ffn);
      } else {
        AddNorm(norm, config_.hidden_size, {ffn + config_.names.gate, ffn + config_.names.up});
        AddUp(ffn, config_.dense_mlp_width);
      }
    }
    return std::move(folds_);
  }

 private:
  void AddNorm(const std::string& norm, int64_t channels,
               const std::vector<std::string>& consumers) {
    AddFold(layout_, {.kind = FoldKind::kNorm, .channels = channels}, norm, consumers, folds_);
  }

  void AddUp(const std::string& mlp, int64_t width) {
    AddFold(layout_, {.kind = FoldKind::kUp, .channels = width}, mlp + config_.names.up,
            {mlp + config_.names.down}, folds_);
  }

  void AddAttention(const std::string& prefix) {
    const std::string attention = prefix + "self_attn.";
    if (config_.latent_attention) return AddLatentAttention(prefix, attention);
    AddNorm(prefix + "input_layernorm", config_.hidden_size,
            {attention + "q_proj", attention + "k_proj", attention + "v_proj"});
    const GroupedQueryConfig& heads = config_.grouped_query;
    AddFold(layout_,
            {.kind = FoldKind::kValue,
             .channels = heads.key_value_heads * heads.head_dim,
             .head_dim = heads.head_dim,
             .repeats = config_.heads / heads.key_value_heads},
            attention + "v_proj", {attention + "o_proj"}, folds_);
  }

  // Not from kv_b_proj into o_proj: engines absorb it into what stands before and behind.
  void AddLatentAttention(const std::string& prefix, const std::string& attention) {
    const bool low_rank = config_.latent.q_lora_rank > 0;
    AddNorm(prefix + "input_layernorm", config_.hidden_size,
            {attention + (low_rank ? "q_a_proj" : "q_proj"), attention + "kv_a_proj_with_mqa"});
    if (!low_rank) return;
    AddNorm(attention + "q_a_layernorm", config_.latent.q_lora_rank, {attention + "q_b_proj"});
  }

  void AddExperts(const std::string& norm, const std::string& ffn) {
    std::vector<std::string> consumers = {ffn + "gate"};
    const auto add = [&](const std::string& mlp, int64_t width) {
      consumers.push_back(mlp + config_.names.gate);
      consumers.push_back(mlp + config_.names.up);
      AddUp(mlp, width);
    };
    const ExpertsConfig& experts = config_.experts;
    if (experts.shared_width > 0) add(ffn + "shared_experts.", experts.shared_width);
    for (int64_t expert = 0; expert < experts.count; ++expert) {
      add(ffn + "experts." + std::to_string(expert) + ".", experts.width);
    }
    AddNorm(norm, config_.hidden_size, consumers);
  }

  const DecoderConfig& config_;
  const ModelLayout& layout_;
  std::vector<Fold> folds_;
};

ModelDims DimsOf(const DecoderConfig& config) {
  ModelDims dims;
  dims.hidden_size = config.hidden_size;
  dims.layers = config.layers;
  dims.vocab_size = config.vocab_size;
  dims.experts = config.experts.count;
  dims.experts_per_token = config.experts.per_token;
  dims.expert_width = config.experts.width;
  const bool has_dense = std::ranges::find(config.routed, false) != config.routed.end();
  dims.mlp_width = std::max(has_dense ? config.dense_mlp_width : 0, config.experts.shared_width);
  dims.attention_heads = config.heads;
  if (config.latent_attention) {
    dims.key_value_heads = config.heads;
    dims.head_dim = std::max(config.latent.qk_head_dim(), config.latent.v_head_dim);
    return dims;
  }
  const std::vector<int64_t>& windows = config.grouped_query.windows;
  dims.key_value_heads = config.grouped_query.key_value_heads;
  dims.head_dim = config.grouped_query.head_dim;
  const bool all_have_windows = std::ranges::find(windows, 0) == windows.end();
  if (all_have_windows) dims.max_keys = *std::ranges::max_element(windows);
  return dims;
}

class HfFamily final : public Family {
 public:
  HfFamily(std::string_view model_type, DecoderConfig config)
      : model_type_(model_type), config_(std::move(config)), tensors_(DecoderTensors(config_)) {
    for (const ExpectedTensor& tensor : tensors_) names_.insert(tensor.name);
  }

  std::string_view model_type() const override { return model_type_; }

  TensorMeaning Classify(std::string_view name) const override {
    TensorMeaning meaning = GuessMeaning(name, config_.layers);
    const bool known = meaning.role == Role::kMtp || IsKvCacheScale(name) || names_.contains(name);
    if (known) return meaning;
    TensorMeaning unknown;
    unknown.linear = meaning.linear;
    unknown.keeps_precision = meaning.keeps_precision;
    return unknown;
  }

  ModelDims Dims() const override { return DimsOf(config_); }
  std::vector<KvCacheEntry> KvCache(const ModelLayout& layout) const override {
    return HfKvCache(layout);
  }
  std::vector<Fold> Folds(const ModelLayout& layout) const override {
    return HfFolds(config_, layout).Take();
  }
  std::vector<ConfigPatch> PatchConfig(Json& /*config*/) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return NamesOf(tensors_); }
  void CheckShapes(const ModelLayout& layout) const override {
    CheckExpectedShapes(tensors_, layout);
  }

 private:
  std::string model_type_;
  DecoderConfig config_;
  std::vector<ExpectedTensor> tensors_;
  std::unordered_set<std::string_view> names_;  // of tensors_
};

}  // namespace

std::string DecoderLayerPrefix(int64_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

std::vector<ExpectedTensor> DecoderTensors(const DecoderConfig& config) {
  return HfInventory(config).Take();
}

std::unique_ptr<Family> MakeHfFamily(std::string_view model_type, DecoderConfig config) {
  return std::make_unique<HfFamily>(model_type, std::move(config));
}

}  // namespace vernier::checkpoint
