// DeepSeek-V4: names, roles and shapes of its released checkpoints.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/deepseek_v4_patches.h"
#include "checkpoint/families/deepseek_v4_tensors.h"
#include "checkpoint/families/family.h"
#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kModelType = "deepseek_v4";

bool RemovePrefix(std::string_view prefix, std::string_view* name) {
  if (!name->starts_with(prefix)) return false;
  name->remove_prefix(prefix.size());
  return true;
}

// Takes "12." off the front of `name`; nothing when it does not begin so.
std::optional<int> TakeNumber(std::string_view* name) {
  int number = 0;
  const char* end = name->data() + name->size();
  const auto [stop, error] = std::from_chars(name->data(), end, number);
  if (error != std::errc() || number < 0 || stop == end || *stop != '.') return std::nullopt;
  name->remove_prefix(static_cast<size_t>(stop - name->data()) + 1);
  return number;
}

constexpr std::array<std::string_view, 3> kExpertWeights = {"w1.weight", "w2.weight", "w3.weight"};
constexpr std::array<std::string_view, 5> kAttentionWeights = {
    "wq_a.weight", "wq_b.weight", "wkv.weight", "wo_a.weight", "wo_b.weight"};

TensorMeaning Linear(Role role, std::string fused_group = {}) {
  TensorMeaning meaning = MeaningOf(role);
  meaning.linear = true;
  meaning.fused_group = std::move(fused_group);
  return meaning;
}

// A linear layer that stays as released: engines build it without a quantisation method.
TensorMeaning Kept(Role role, std::string_view name) {
  TensorMeaning meaning = MeaningOf(role);
  meaning.linear = name.ends_with(".weight") && !name.ends_with("norm.weight");
  meaning.keeps_precision = true;
  return meaning;
}

// In the functions below `name` is the tensor's name without `prefix`, which ends with a dot.

TensorMeaning ClassifyExpert(std::string_view prefix, std::string_view name, Role role) {
  if (!IsOneOf(name, kExpertWeights)) return {};
  // w1 and w3 read the same input and engines load them as one matrix.
  const bool fused = name != "w2.weight";
  return Linear(role, fused ? std::string(prefix) + "w1w3" : std::string());
}

TensorMeaning ClassifyAttention(std::string_view prefix, std::string_view name) {
  if (name == "attn_sink") return MeaningOf(Role::kAttentionAux);
  if (name == "q_norm.weight" || name == "kv_norm.weight") return MeaningOf(Role::kNorm);
  if (name.starts_with("compressor.")) return Kept(Role::kCompressor, name);
  if (name == "indexer.wq_b.weight") return Linear(Role::kIndexer);
  if (name.starts_with("indexer.")) return Kept(Role::kIndexer, name);
  if (!IsOneOf(name, kAttentionWeights)) return {};
  const bool fused = name == "wq_a.weight" || name == "wkv.weight";
  return Linear(Role::kAttention, fused ? std::string(prefix) + "wq_a_wkv" : std::string());
}

TensorMeaning ClassifyFfn(std::string_view whole, std::string_view name) {
  const auto prefix = [&] { return whole.substr(0, whole.size() - name.size()); };
  if (name.starts_with("gate.")) return Kept(Role::kRouter, name);
  if (RemovePrefix("shared_experts.", &name)) {
    return ClassifyExpert(prefix(), name, Role::kSharedExpert);
  }
  if (!RemovePrefix("experts.", &name)) return {};
  const std::optional<int> expert = TakeNumber(&name);
  if (!expert) return {};
  TensorMeaning meaning = ClassifyExpert(prefix(), name, Role::kRoutedExpert);
  if (meaning.role == Role::kRoutedExpert) meaning.expert = *expert;
  return meaning;
}

TensorMeaning ClassifyInLayer(std::string_view whole, std::string_view name) {
  if (name == "attn_norm.weight" || name == "ffn_norm.weight") return MeaningOf(Role::kNorm);
  if (name.starts_with("hc_attn_") || name.starts_with("hc_ffn_")) {
    return MeaningOf(Role::kHyperConnection);
  }
  if (RemovePrefix("attn.", &name)) {
    return ClassifyAttention(whole.substr(0, whole.size() - name.size()), name);
  }
  if (RemovePrefix("ffn.", &name)) return ClassifyFfn(whole, name);
  return {};
}

TensorMeaning ClassifyOutsideLayers(std::string_view name) {
  if (name == "embed.weight") return MeaningOf(Role::kEmbedding);
  if (name == "head.weight") return Linear(Role::kLmHead);
  if (name == "norm.weight") return MeaningOf(Role::kNorm);
  if (name.starts_with("hc_head_")) return MeaningOf(Role::kHyperConnection);
  return {};
}

// Norms, into all that reads them. Not w3 into w2: the product of both is clamped in between.
class DeepseekV4Folds {
 public:
  DeepseekV4Folds(const DeepseekV4Config& config, const ModelLayout& layout)
      : config_(config), layout_(layout) {}

  std::vector<Fold> Take() && {
    for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
      const std::string prefix = "layers." + std::to_string(layer) + ".";
      AddAttention(prefix, config_.compress_ratios[static_cast<size_t>(layer)]);
      AddFfn(prefix);
    }
    return std::move(folds_);
  }

 private:
  void AddNorm(const std::string& norm, int64_t channels,
               const std::vector<std::string>& consumers) {
    AddFold(layout_, {.kind = FoldKind::kNorm, .channels = channels}, norm, consumers, folds_);
  }

  void AddAttention(const std::string& prefix, int64_t ratio) {
    const std::string attention = prefix + "attn.";
    std::vector<std::string> of_input = {attention + "wq_a", attention + "wkv"};
    std::vector<std::string> of_queries = {attention + "wq_b"};
    const auto add_compressor = [&](const std::string& compressor) {
      of_input.push_back(compressor + "wkv");
      of_input.push_back(compressor + "wgate");
    };
    if (ratio != 0) add_compressor(attention + "compressor.");
    if (ratio == kSparseRatio) {
      add_compressor(attention + "indexer.compressor.");
      of_input.push_back(attention + "indexer.weights_proj");
      of_queries.push_back(attention + "indexer.wq_b");
    }
    AddNorm(prefix + "attn_norm", config_.hidden_size, of_input);
    AddNorm(attention + "q_norm", config_.q_lora_rank, of_queries);
  }

  void AddFfn(const std::string& prefix) {
    std::vector<std::string> consumers = {prefix + "ffn.gate"};
    const auto add = [&](const std::string& expert) {
      consumers.push_back(expert + ".w1");
      consumers.push_back(expert + ".w3");
    };
    if (config_.n_shared_experts > 0) add(prefix + "ffn.shared_experts");
    for (int64_t expert = 0; expert < config_.n_routed_experts; ++expert) {
      add(prefix + "ffn.experts." + std::to_string(expert));
    }
    AddNorm(prefix + "ffn_norm", config_.hidden_size, consumers);
  }

  const DeepseekV4Config& config_;
  const ModelLayout& layout_;
  std::vector<Fold> folds_;
};

class DeepseekV4Family : public Family {
 public:
  explicit DeepseekV4Family(const Json& config) : config_(ParseDeepseekV4Config(config)) {}

  std::string_view model_type() const override { return kModelType; }

  TensorMeaning Classify(std::string_view whole) const override {
    std::string_view name = whole;
    if (RemovePrefix("mtp.", &name)) return ClassifyMtp(whole, name);
    if (!RemovePrefix("layers.", &name)) return ClassifyOutsideLayers(whole);
    const std::optional<int> layer = TakeNumber(&name);
    if (!layer || *layer >= config_.num_hidden_layers) return {};
    TensorMeaning meaning = ClassifyInLayer(whole, name);
    if (meaning.role == Role::kOther || meaning.expert >= config_.n_routed_experts) return {};
    meaning.layer = *layer;
    return meaning;
  }

  ModelDims Dims() const override {
    ModelDims dims;
    dims.hidden_size = config_.hidden_size;
    dims.residual_streams = config_.hc_mult;
    dims.layers = config_.num_hidden_layers;
    dims.vocab_size = config_.vocab_size;
    dims.experts = config_.n_routed_experts;
    dims.experts_per_token = config_.num_experts_per_tok;
    dims.expert_width = config_.moe_intermediate_size;
    dims.mlp_width = config_.n_shared_experts * config_.moe_intermediate_size;
    dims.attention_heads = config_.num_attention_heads;
    dims.key_value_heads = 1;
    dims.head_dim = config_.head_dim;
    dims.max_keys = config_.sliding_window;
    for (const int64_t ratio : config_.compress_ratios) {
      if (ratio == 0) continue;
      dims.key_compression =
          dims.key_compression == 0 ? ratio : std::min(dims.key_compression, ratio);
    }
    return dims;
  }

  std::vector<Fold> Folds(const ModelLayout& layout) const override {
    return DeepseekV4Folds(config_, layout).Take();
  }

  std::vector<ConfigPatch> PatchConfig(Json& config) const override {
    return PatchDeepseekV4Config(config);
  }

  std::vector<std::string> RequiredTensors() const override {
    return NamesOf(DeepseekV4MainTensors(config_));
  }

  void CheckShapes(const ModelLayout& layout) const override {
    CheckExpectedShapes(DeepseekV4MainTensors(config_), layout);
    CheckExpectedShapes(DeepseekV4MtpTensors(config_), layout);
  }

 private:
  // Whatever an MTP layer holds belongs to it: newer releases add tensors there.
  static TensorMeaning ClassifyMtp(std::string_view whole, std::string_view name) {
    const std::optional<int> layer = TakeNumber(&name);
    if (!layer) return {};
    TensorMeaning meaning = ClassifyInLayer(whole, name);
    if (name == "e_proj.weight" || name == "h_proj.weight") meaning.linear = true;
    meaning.role = Role::kMtp;
    meaning.layer = *layer;
    return meaning;
  }

  DeepseekV4Config config_;
};

}  // namespace

std::unique_ptr<Family> MakeDeepseekV4Family(const Json& config) {
  return std::make_unique<DeepseekV4Family>(config);
}

}  // namespace vernier::checkpoint
