#include "audit/quant_config.h"

#include <algorithm>

namespace vernier::audit {
namespace {

// Wrong types are findings of the rules, not failures: every reader here returns "nothing" instead.
const Json* FindField(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string StringField(const Json& object, std::string_view key) {
  const Json* field = FindField(object, key);
  return field != nullptr && field->is_string() ? field->get<std::string>() : std::string();
}

std::optional<int64_t> IntegerField(const Json& object, std::string_view key) {
  const Json* field = FindField(object, key);
  if (field == nullptr || !field->is_number_integer()) return std::nullopt;
  return field->get<int64_t>();
}

std::map<std::string, LayerAlgo> ReadQuantizedLayers(const Json& object) {
  std::map<std::string, LayerAlgo> layers;
  const Json* field = FindField(object, "quantized_layers");
  if (field == nullptr || !field->is_object()) return layers;
  for (const auto& [name, value] : field->items()) {
    layers[name] = {StringField(value, "quant_algo"), IntegerField(value, "group_size")};
  }
  return layers;
}

void ReadExclusions(const Json& object, std::string_view key, QuantConfig* config) {
  const Json* field = FindField(object, key);
  if (field == nullptr || !field->is_array()) return;
  config->has_exclusions = true;
  for (const Json& pattern : *field) {
    if (pattern.is_string()) config->exclusions.push_back(pattern.get<std::string>());
  }
  std::sort(config->exclusions.begin(), config->exclusions.end());
}

std::string ProducerText(const Json& object) {
  const Json* producer = FindField(object, "producer");
  if (producer == nullptr) return {};
  return StringField(*producer, "name") + " " + StringField(*producer, "version");
}

void ReadCommonFields(const Json& object, std::string_view exclusions_key, QuantConfig* config) {
  config->quant_algo = StringField(object, "quant_algo");
  config->kv_cache_quant_algo = StringField(object, "kv_cache_quant_algo");
  config->group_size = IntegerField(object, "group_size");
  config->quantized_layers = ReadQuantizedLayers(object);
  ReadExclusions(object, exclusions_key, config);
}

}  // namespace

bool QuantConfig::MentionsNvfp4() const {
  if (quant_algo == kAlgoNvfp4 || moe_quant_algo == kAlgoNvfp4) return true;
  return std::any_of(quantized_layers.begin(), quantized_layers.end(),
                     [](const auto& entry) { return entry.second.algo == kAlgoNvfp4; });
}

const LayerAlgo* QuantConfig::Covering(std::string_view module) const {
  for (std::string_view name = module; !name.empty();) {
    const auto found = quantized_layers.find(std::string(name));
    if (found != quantized_layers.end()) return &found->second;
    const size_t dot = name.rfind('.');
    name = dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
  }
  return nullptr;
}

QuantConfig ReadInlineQuantConfig(const Json& config) {
  QuantConfig result;
  const Json* object = FindField(config, "quantization_config");
  if (object == nullptr) return result;
  result.present = true;
  ReadCommonFields(*object, "ignore", &result);
  result.producer = ProducerText(*object);
  result.quant_method = StringField(*object, "quant_method");
  result.moe_quant_algo = StringField(*object, "moe_quant_algo");
  result.scale_fmt = StringField(*object, "scale_fmt");
  const Json* block = FindField(*object, "weight_block_size");
  if (block != nullptr && block->is_array()) {
    for (const Json& size : *block) {
      result.weight_block_size.push_back(size.is_number_integer() ? size.get<int64_t>() : 0);
    }
  }
  return result;
}

QuantConfig ReadQuantConfigFile(const std::filesystem::path& directory) {
  QuantConfig result;
  const std::filesystem::path path = directory / kQuantConfigFileName;
  if (!std::filesystem::exists(path)) return result;
  const Json file = ReadJsonFile(path);
  const Json* quantization = FindField(file, "quantization");
  if (quantization == nullptr) return result;
  result.present = true;
  ReadCommonFields(*quantization, "exclude_modules", &result);
  result.producer = ProducerText(file);
  return result;
}

std::vector<std::string> DifferingFields(const QuantConfig& a, const QuantConfig& b) {
  std::vector<std::string> fields;
  if (a.quant_algo != b.quant_algo) fields.emplace_back("quant_algo");
  if (a.kv_cache_quant_algo != b.kv_cache_quant_algo) fields.emplace_back("kv_cache_quant_algo");
  if (a.group_size != b.group_size) fields.emplace_back("group_size");
  if (a.quantized_layers != b.quantized_layers) fields.emplace_back("quantized_layers");
  if (a.exclusions != b.exclusions) fields.emplace_back("ignore / exclude_modules");
  if (a.producer != b.producer) fields.emplace_back("producer");
  return fields;
}

}  // namespace vernier::audit
