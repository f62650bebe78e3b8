// The family of any model without one of its own.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "checkpoint/config_facts.h"
#include "checkpoint/families/family.h"
#include "checkpoint/families/generic_names.h"
#include "checkpoint/families/kv_cache.h"
#include "checkpoint/families/required_names.h"

namespace vernier::checkpoint {
namespace {

// A count under the first of `names` that config.json has (config_facts.h); 0 without any, or when
// it is no size at all.
int64_t Size(const Json& config, std::initializer_list<std::string_view> names) {
  constexpr int64_t kMaxSize = int64_t{1} << 31;  // so that products of two stay within int64
  const ConfigFact fact = FindModelField(config, std::span(names.begin(), names.size()));
  if (!fact || !fact.value->is_number_integer()) return 0;
  // What a signed reading makes negative is too large or no size.
  const auto size = fact.value->get<int64_t>();
  return size >= 0 && size <= kMaxSize ? size : 0;
}

// The names that vLLM 0.33 reads for each size (transformers_utils/config.py).
ModelDims ReadDims(const Json& config) {
  ModelDims dims;
  dims.hidden_size = Size(config, {"hidden_size", "n_embd", "d_model"});
  dims.layers = Size(config, {"num_hidden_layers", "n_layer", "num_layers", "n_layers"});
  dims.vocab_size = Size(config, {"vocab_size"});
  dims.experts =
      Size(config, {"num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts"});
  dims.experts_per_token =
      Size(config, {"num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_top_k"});
  if (dims.experts > 0) {
    dims.expert_width = Size(config, {"moe_intermediate_size", "intermediate_size"});
  }
  dims.mlp_width = Size(config, {"intermediate_size"});
  dims.attention_heads = Size(config, {"num_attention_heads", "n_head", "n_heads"});
  dims.key_value_heads = Size(config, {"num_key_value_heads", "n_head_kv", "num_kv_heads"});
  dims.head_dim = Size(config, {"head_dim"});
  if (dims.head_dim == 0 && dims.attention_heads > 0) {
    dims.head_dim = dims.hidden_size / dims.attention_heads;
  }
  return dims;
}

// Models whose projections are stored as [in, out] (transformers' Conv1D), which would be quantised
// along the wrong side.
constexpr std::array<std::string_view, 4> kTransposed = {"gpt2", "openai-gpt", "imagegpt",
                                                         "decision_transformer"};

// How models store the experts of a layer in one tensor, where engines load them one by one.
struct StackedModel {
  std::string_view model_type;
  std::span<const StackRow> rows;
};
constexpr StackRow kGateUpAndDown[] = {{"gate_up_proj", {"gate_proj", "up_proj"}},
                                       {"down_proj", {"down_proj"}}};
constexpr StackedModel kStackedModels[] = {
    {"qwen3_5_moe", kGateUpAndDown},
    {"qwen3_5_moe_text", kGateUpAndDown},
};

std::span<const StackRow> StacksOf(std::string_view model_type) {
  const auto found = std::ranges::find(kStackedModels, model_type, &StackedModel::model_type);
  return found == std::end(kStackedModels) ? std::span<const StackRow>() : found->rows;
}

class GenericFamily : public Family {
 public:
  GenericFamily(const Json& config, std::string refusal)
      : model_type_(ModelTypeOf(config)),
        transposed_(std::ranges::find(kTransposed, model_type_) != kTransposed.end()),
        refusal_(std::move(refusal)),
        dims_(ReadDims(config)),
        required_(RequiredNames(config, dims_.layers)) {}

  std::string_view model_type() const override { return model_type_; }
  bool guessed() const override { return true; }
  std::string_view refusal() const override { return refusal_; }
  TensorMeaning Classify(std::string_view name) const override {
    TensorMeaning meaning = GuessMeaning(name, dims_.layers);
    if (transposed_ && meaning.role != Role::kLmHead) meaning.linear = false;
    return meaning;
  }
  ModelDims Dims() const override { return dims_; }
  std::span<const StackRow> Stacks() const override { return StacksOf(model_type_); }
  std::vector<KvCacheEntry> KvCache(const ModelLayout& layout) const override {
    return HfKvCache(layout);
  }
  std::vector<ConfigPatch> PatchConfig(Json& /*config*/) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return required_; }
  void CheckShapes(const ModelLayout& /*layout*/) const override {}

 private:
  std::string model_type_;
  bool transposed_;
  std::string refusal_;
  ModelDims dims_;
  std::vector<std::string> required_;
};

}  // namespace

std::unique_ptr<Family> MakeGenericFamily(const Json& config, std::string refusal) {
  return std::make_unique<GenericFamily>(config, std::move(refusal));
}

}  // namespace vernier::checkpoint
