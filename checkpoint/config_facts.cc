#include "checkpoint/config_facts.h"

#include <array>

namespace vernier::checkpoint {
namespace {

constexpr std::array<std::string_view, 3> kQuantizationPlaces = {
    "/quantization_config", "/text_config/quantization_config", "/compression_config"};
constexpr std::array<std::string_view, 4> kTextConfigs = {
    "/text_config", "/llm_config", "/language_config", "/thinker_config/text_config"};
constexpr std::array<std::string_view, 4> kMtpCounts = {
    "mtp_num_hidden_layers", "num_nextn_predict_layers", "num_mtp_layers", "num_mtp_modules"};

// The value at `pointer`, or nullptr where nothing is.
const Json* At(const Json& config, std::string_view pointer) {
  const Json::json_pointer parsed{std::string(pointer)};
  return config.contains(parsed) ? &config.at(parsed) : nullptr;
}

ConfigFact FindIn(const ConfigFact& object, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const auto field = object.value->find(name);
    if (field == object.value->end() || field->is_null()) continue;
    return {&*field, object.pointer + "/" + std::string(name)};
  }
  return {};
}

}  // namespace

ConfigFact FindTextConfig(const Json& config) {
  for (const std::string_view place : kTextConfigs) {
    const Json* found = At(config, place);
    if (found != nullptr && found->is_object()) return {found, std::string(place)};
  }
  return {&config, {}};
}

ConfigFact FindModelField(const Json& config, std::span<const std::string_view> names) {
  if (!config.is_object()) return {};
  const ConfigFact text = FindTextConfig(config);
  ConfigFact found = FindIn(text, names);
  return found || text.pointer.empty() ? found : FindIn({&config, {}}, names);
}

ConfigFact FindModelField(const Json& config, std::string_view name) {
  return FindModelField(config, std::span(&name, 1));
}

ConfigFact FindQuantizationConfig(const Json& config) {
  for (const std::string_view place : kQuantizationPlaces) {
    const Json* found = At(config, place);
    if (found != nullptr && !found->is_null()) return {found, std::string(place)};
  }
  return {};
}

std::vector<std::string> QuantizationConfigPlaces(const Json& config) {
  std::vector<std::string> places;
  for (const std::string_view place : kQuantizationPlaces) {
    if (At(config, place) != nullptr) places.emplace_back(place);
  }
  return places;
}

std::string QuantMethod(const Json& config) {
  const ConfigFact quantization = FindQuantizationConfig(config);
  if (!quantization || !quantization.value->is_object()) return {};
  const auto method = quantization.value->find("quant_method");
  const bool is_text = method != quantization.value->end() && method->is_string();
  return is_text ? method->get<std::string>() : std::string();
}

std::span<const std::string_view> MtpCountNames() { return kMtpCounts; }

std::optional<MtpCount> FindMtpCount(const Json& config) {
  const ConfigFact fact = FindModelField(config, kMtpCounts);
  if (!fact || !fact.value->is_number_integer()) return std::nullopt;
  return MtpCount{fact.value->get<int64_t>(), fact.pointer.substr(fact.pointer.rfind('/') + 1)};
}

std::optional<bool> FindTiedEmbeddings(const Json& config) {
  const ConfigFact fact = FindModelField(config, "tie_word_embeddings");
  if (!fact || !fact.value->is_boolean()) return std::nullopt;
  return fact.value->get<bool>();
}

std::string ModelTypeOf(const Json& config) {
  if (!config.is_object()) return {};
  const auto field = config.find("model_type");
  return field != config.end() && field->is_string() ? field->get<std::string>() : std::string();
}

}  // namespace vernier::checkpoint
