// Facts of config.json that stand in several places or under several names.
//
// docs/config.md lists for each fact which names are read, in which order, and who reads them so.
#ifndef VERNIER_CHECKPOINT_CONFIG_FACTS_H_
#define VERNIER_CHECKPOINT_CONFIG_FACTS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace vernier::checkpoint {

// Where a fact stands; it points into the config that was searched.
struct ConfigFact {
  const Json* value = nullptr;  // null when it stands nowhere
  std::string pointer;          // "/text_config/quantization_config"

  explicit operator bool() const { return value != nullptr; }
};

// What describes the language model of a config: of a multimodal one its text_config, llm_config,
// language_config or thinker_config.text_config, the first that is an object; otherwise the config
// itself, with an empty pointer.
ConfigFact FindTextConfig(const Json& config);

// The first of `names` that has a value (null counts as none): all of them in the text config, as
// engines read a model's sizes, then all of them beside it.
ConfigFact FindModelField(const Json& config, std::span<const std::string_view> names);
ConfigFact FindModelField(const Json& config, std::string_view name);

// How weights are quantised: quantization_config, else text_config.quantization_config, else
// compression_config (vLLM get_quant_config; SGLang checkpoint_quantization.py).
ConfigFact FindQuantizationConfig(const Json& config);
// All pointers at which FindQuantizationConfig would look and that are there, null or not.
std::vector<std::string> QuantizationConfigPlaces(const Json& config);
// quant_method of that, as it is written; empty without any.
std::string QuantMethod(const Json& config);

// Names of the number of multi-token-prediction layers, in their order.
std::span<const std::string_view> MtpCountNames();
// That number: nothing when no name has an integer.
struct MtpCount {
  int64_t layers = 0;
  std::string name;  // under which it stands
};
std::optional<MtpCount> FindMtpCount(const Json& config);

// Whether the output head is the embedding: nothing when tie_word_embeddings is not said.
std::optional<bool> FindTiedEmbeddings(const Json& config);

// model_type of the config, or an empty text.
std::string ModelTypeOf(const Json& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CONFIG_FACTS_H_
