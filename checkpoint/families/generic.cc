// The family of any model without one of its own.
#include <initializer_list>
#include <string>
#include <utility>

#include "checkpoint/families/family.h"
#include "checkpoint/families/generic_names.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::checkpoint {
namespace {

// A count under the first of `keys` that config.json has, in itself or (multimodal models) in its
// text_config; 0 without any, or when it is no size at all.
int64_t Size(const Json& config, std::initializer_list<const char*> keys) {
  constexpr int64_t kMaxSize = int64_t{1} << 31;  // so that products of two stay within int64
  if (!config.is_object()) return 0;
  for (const char* key : keys) {
    const auto field = config.find(key);
    if (field == config.end() || !field->is_number_integer()) continue;
    // What a signed reading makes negative is too large or no size.
    const auto size = field->get<int64_t>();
    return size >= 0 && size <= kMaxSize ? size : 0;
  }
  const auto text = config.find("text_config");
  return text == config.end() ? 0 : Size(*text, keys);
}

ModelDims ReadDims(const Json& config) {
  ModelDims dims;
  dims.hidden_size = Size(config, {"hidden_size", "n_embd", "d_model"});
  dims.layers = Size(config, {"num_hidden_layers", "n_layer", "num_layers"});
  dims.vocab_size = Size(config, {"vocab_size"});
  dims.experts = Size(config, {"n_routed_experts", "num_experts", "num_local_experts"});
  dims.experts_per_token = Size(config, {"num_experts_per_tok", "num_experts_per_token"});
  if (dims.experts > 0) {
    dims.expert_width = Size(config, {"moe_intermediate_size", "intermediate_size"});
  }
  dims.mlp_width = Size(config, {"intermediate_size"});
  dims.attention_heads = Size(config, {"num_attention_heads", "n_head"});
  dims.key_value_heads = Size(config, {"num_key_value_heads"});
  dims.head_dim = Size(config, {"head_dim"});
  if (dims.head_dim == 0 && dims.attention_heads > 0) {
    dims.head_dim = dims.hidden_size / dims.attention_heads;
  }
  return dims;
}

std::string ReadModelType(const Json& config) {
  const auto field = config.find("model_type");
  return field != config.end() && field->is_string() ? field->get<std::string>() : std::string();
}

class GenericFamily : public Family {
 public:
  GenericFamily(const Json& config, std::string refusal)
      : model_type_(ReadModelType(config)), refusal_(std::move(refusal)), dims_(ReadDims(config)) {}

  std::string_view model_type() const override { return model_type_; }
  bool guessed() const override { return true; }
  std::string_view refusal() const override { return refusal_; }
  TensorMeaning Classify(std::string_view name) const override {
    return GuessMeaning(name, dims_.layers);
  }
  ModelDims Dims() const override { return dims_; }
  std::vector<KvCacheEntry> KvCache(const ModelLayout& layout) const override {
    return HfKvCache(layout);
  }
  std::vector<ConfigPatch> PatchConfig(Json& /*config*/) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return {}; }
  void CheckShapes(const ModelLayout& /*layout*/) const override {}

 private:
  std::string model_type_, refusal_;
  ModelDims dims_;
};

}  // namespace

std::unique_ptr<Family> MakeGenericFamily(const Json& config, std::string refusal) {
  return std::make_unique<GenericFamily>(config, std::move(refusal));
}

}  // namespace vernier::checkpoint
