#include "checkpoint/families/required_names.h"

#include <fmt/format.h>

#include <initializer_list>
#include <string_view>
#include <utility>

#include "checkpoint/config_facts.h"

namespace vernier::checkpoint {
namespace {

// No model has as many: a larger number is damage, which other rules tell.
constexpr int64_t kMaxNamedLayers = 10'000;

constexpr std::string_view kWeightAndBias[] = {"weight", "bias"};

class NameList {
 public:
  void AddWeights(std::string_view prefix, std::initializer_list<std::string_view> modules) {
    for (const std::string_view module : modules) {
      names_.push_back(fmt::format("{}{}.weight", prefix, module));
    }
  }

  void AddLayerNorms(std::string_view prefix, std::initializer_list<std::string_view> modules) {
    for (const std::string_view module : modules) {
      for (const std::string_view part : kWeightAndBias) {
        names_.push_back(fmt::format("{}{}.{}", prefix, module, part));
      }
    }
  }

  std::vector<std::string> Take() { return std::move(names_); }

 private:
  std::vector<std::string> names_;
};

bool FlagOr(const Json& config, std::string_view name, bool fallback) {
  const auto it = config.find(name);
  return it != config.end() && it->is_boolean() ? it->get<bool>() : fallback;
}

// As transformers builds it (models/falcon): layers whose attention and MLP run side by side have
// one norm or two, by the generation of the architecture.
std::vector<std::string> FalconNames(const Json& config, int64_t layers) {
  const bool newer = FlagOr(config, "new_decoder_architecture", false);
  const auto norms = config.find("num_ln_in_parallel_attn");
  const bool says_norms = norms != config.end() && !norms->is_null();
  const bool two_norms = says_norms ? *norms == 2 : newer;
  const bool parallel = FlagOr(config, "parallel_attn", true);
  NameList names;
  names.AddWeights("transformer.", {"word_embeddings"});
  names.AddLayerNorms("transformer.", {"ln_f"});
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string prefix = fmt::format("transformer.h.{}.", layer);
    names.AddWeights(prefix, {"self_attention.query_key_value", "self_attention.dense",
                              "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"});
    if (parallel && two_norms) {
      names.AddLayerNorms(prefix, {"ln_attn", "ln_mlp"});
      continue;
    }
    names.AddLayerNorms(prefix, {"input_layernorm"});
    if (!parallel) names.AddLayerNorms(prefix, {"post_attention_layernorm"});
  }
  return names.Take();
}

std::vector<std::string> GptNeoxNames(const Json& /*config*/, int64_t layers) {
  NameList names;
  names.AddWeights("gpt_neox.", {"embed_in"});
  names.AddLayerNorms("gpt_neox.", {"final_layer_norm"});
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string prefix = fmt::format("gpt_neox.layers.{}.", layer);
    names.AddWeights(prefix, {"attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h",
                              "mlp.dense_4h_to_h"});
    names.AddLayerNorms(prefix, {"input_layernorm", "post_attention_layernorm"});
  }
  return names.Take();
}

struct ArchitectureRow {
  std::string_view model_type;
  std::vector<std::string> (*names)(const Json& config, int64_t layers);
};

constexpr ArchitectureRow kArchitectures[] = {
    {"falcon", FalconNames},
    {"gpt_neox", GptNeoxNames},
};

}  // namespace

std::vector<std::string> RequiredNames(const Json& config, int64_t layers) {
  if (layers > kMaxNamedLayers) return {};
  const std::string model_type = ModelTypeOf(config);
  for (const ArchitectureRow& row : kArchitectures) {
    if (row.model_type == model_type) return row.names(config, layers);
  }
  return {};
}

}  // namespace vernier::checkpoint
