#include "audit/quant_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "checkpoint/config_facts.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::Format;
namespace formats = checkpoint::formats;

constexpr std::string_view kAnyLinear = "Linear";

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

// Under `key`, or, as some versions of ModelOpt write it, the other form's.
void ReadExclusions(const Json& object, std::string_view key, QuantConfig* config) {
  const Json* field = FindField(object, key);
  if (field == nullptr) field = FindField(object, "exclude_modules");
  if (field == nullptr || !field->is_array()) return;
  config->has_exclusions = true;
  for (const Json& pattern : *field) {
    if (pattern.is_string()) config->exclusions.emplace_back(pattern.get<std::string>());
  }
  std::sort(config->exclusions.begin(), config->exclusions.end());
}

std::string ProducerText(const Json& object) {
  const Json* producer = FindField(object, "producer");
  if (producer == nullptr) return {};
  return StringField(*producer, "name") + " " + StringField(*producer, "version");
}

std::string ReadKvCacheAlgo(const Json& object) {
  if (FindField(object, "kv_cache_quant_algo") != nullptr) {
    return StringField(object, "kv_cache_quant_algo");
  }
  const Json* scheme = FindField(object, "kv_cache_scheme");
  if (scheme == nullptr) return {};
  if (scheme->is_string()) return scheme->get<std::string>();  // ModelOpt, of all but FP8
  const bool is_fp8 =
      StringField(*scheme, "type") == "float" && IntegerField(*scheme, "num_bits") == 8;
  return is_fp8 ? std::string(kAlgoFp8) : std::string();
}

// The first that names anything: engines ask for ignored_layers, and for the other list without it.
void ReadUnconverted(const Json& object, QuantConfig* config) {
  for (const char* key : {"ignored_layers", "modules_to_not_convert"}) {
    const Json* field = FindField(object, key);
    if (field == nullptr || !field->is_array() || field->empty()) continue;
    for (const Json& name : *field) {
      if (name.is_string()) config->unconverted.emplace_back(name.get<std::string>());
    }
    return;
  }
}

// Of the first group that says one, where the configuration itself does not.
std::optional<int64_t> ReadGroupSize(const Json& object) {
  if (const std::optional<int64_t> size = IntegerField(object, "group_size")) return size;
  const Json* groups = FindField(object, "config_groups");
  if (groups == nullptr || !groups->is_object()) return std::nullopt;
  for (const Json& group : *groups) {
    const Json* weights = FindField(group, "weights");
    if (weights == nullptr) continue;
    if (const std::optional<int64_t> size = IntegerField(*weights, "group_size")) return size;
  }
  return std::nullopt;
}

void ReadCommonFields(const Json& object, std::string_view exclusions_key, QuantConfig* config) {
  config->quant_algo = StringField(object, "quant_algo");
  config->has_kv_cache_quant_algo = object.is_object() && object.contains("kv_cache_quant_algo");
  config->kv_cache_quant_algo = ReadKvCacheAlgo(object);
  config->group_size = ReadGroupSize(object);
  config->quantized_layers = ReadQuantizedLayers(object);
  ReadExclusions(object, exclusions_key, config);
}

std::optional<Format> FormatOfWeights(const Json& weights) {
  const std::optional<int64_t> bits = IntegerField(weights, "num_bits");
  const std::string strategy = StringField(weights, "strategy");
  const std::optional<int64_t> group_size = IntegerField(weights, "group_size");
  const bool is_float = StringField(weights, "type") == "float";
  const Json* symmetric = FindField(weights, "symmetric");
  const bool has_zero = symmetric != nullptr && *symmetric == false;
  if (bits == 4 && !is_float) return has_zero ? formats::kInt4Zero : formats::kInt4;
  if (bits == 8 && !is_float) return formats::kInt8;
  if (!is_float) return std::nullopt;
  if (bits == 4 && group_size == quantizers::kNvfp4BlockSize) return formats::kNvfp4;
  if (bits == 4) return formats::kMxfp4;
  if (bits != 8) return std::nullopt;
  if (strategy == "tensor") return formats::kFp8Tensor;
  if (strategy == "channel") return formats::kFp8Channel;
  if (strategy == "block") return formats::kFp8Block;
  if (strategy == "group") return formats::kMxfp8;
  return std::nullopt;
}

void ReadGroups(const Json& object, QuantConfig* config) {
  const Json* groups = FindField(object, "config_groups");
  if (groups == nullptr || !groups->is_object()) return;
  for (const auto& [name, group] : groups->items()) {
    ConfigGroup result;
    result.name = name;
    const Json* weights = FindField(group, "weights");
    if (weights != nullptr) result.format = FormatOfWeights(*weights);
    const Json* inputs = FindField(group, "input_activations");
    result.quantises_inputs = inputs != nullptr;
    if (inputs != nullptr) result.input_strategy = StringField(*inputs, "strategy");
    const Json* targets = FindField(group, "targets");
    if (targets != nullptr && targets->is_array()) {
      for (const Json& target : *targets) {
        if (target.is_string()) result.targets.emplace_back(target.get<std::string>());
      }
    }
    config->groups.push_back(std::move(result));
  }
}

// An entry of compressed-tensors' lists: a module's name, or an expression that must match at the
// name's beginning.
bool NamesModule(const NamePattern& entry, std::string_view module) {
  return entry.is_regex() ? entry.MatchesBeginning(module) : entry.text() == module;
}

}  // namespace

std::optional<Format> FormatOfAlgo(std::string_view algo) {
  static constexpr auto kAlgos = std::to_array<std::pair<std::string_view, Format>>(
      {{kAlgoNvfp4, formats::kNvfp4},
       {kAlgoWeightOnlyNvfp4, formats::kNvfp4},
       {"NVFP4_AWQ", formats::kNvfp4},
       {"W4A8_NVFP4_FP8", formats::kNvfp4Wide},
       {"FP8_BLOCK_SCALES", formats::kFp8Block},
       {"mxfp4", formats::kMxfp4},
       {"MXFP4", formats::kMxfp4},
       {"W4A16_MXFP4", formats::kMxfp4},
       {"W4A8_MXFP4_FP8", formats::kMxfp4},
       {"W4A8_MXFP4_MXFP8", formats::kMxfp4},
       {"MXFP8", formats::kMxfp8},
       {kAlgoFp8, formats::kFp8Tensor},
       {"FP8_PER_CHANNEL_PER_TOKEN", formats::kFp8Channel},
       {"fp8_pb_wo", formats::kFp8Block},
       {"FP8_PB_WO", formats::kFp8Block},
       {"W4A16", formats::kInt4Rows},
       {"W4A16_AWQ", formats::kInt4Rows},
       {"W4A8_AWQ", formats::kInt4Rows},
       {"W8A16", formats::kInt8},
       {"W8A8_SQ_PER_CHANNEL", formats::kInt8}});
  for (const auto& [name, format] : kAlgos) {
    if (name == algo) return format;
  }
  return std::nullopt;
}

bool QuantConfig::MentionsNvfp4() const {
  const auto is_nvfp4 = [](std::string_view algo) { return FormatOfAlgo(algo) == formats::kNvfp4; };
  return is_nvfp4(quant_algo) || is_nvfp4(moe_quant_algo) ||
         std::any_of(quantized_layers.begin(), quantized_layers.end(),
                     [&](const auto& entry) { return is_nvfp4(entry.second.algo); }) ||
         std::any_of(groups.begin(), groups.end(),
                     [](const ConfigGroup& group) { return group.format == formats::kNvfp4; });
}

bool QuantConfig::WeightOnly(std::string_view module) const {
  if (IsCompressedTensors()) {
    const ConfigGroup* group = CoveringGroup(module);
    return group != nullptr && !group->quantises_inputs;
  }
  const LayerAlgo* layer = Covering(module);
  return (layer != nullptr ? layer->algo : quant_algo) == kAlgoWeightOnlyNvfp4;
}

const ConfigGroup* QuantConfig::CoveringGroup(std::string_view module) const {
  const ConfigGroup* any_linear = nullptr;
  for (const ConfigGroup& group : groups) {
    for (const NamePattern& target : group.targets) {
      if (NamesModule(target, module)) return &group;
      if (target.text() == kAnyLinear && any_linear == nullptr) any_linear = &group;
    }
  }
  return any_linear;
}

std::vector<const ConfigGroup*> QuantConfig::GroupsNaming(std::string_view module) const {
  std::vector<const ConfigGroup*> naming;
  for (const ConfigGroup& group : groups) {
    if (std::any_of(group.targets.begin(), group.targets.end(),
                    [&](const NamePattern& target) { return NamesModule(target, module); })) {
      naming.push_back(&group);
    }
  }
  return naming;
}

bool QuantConfig::Ignores(std::string_view module) const {
  return std::any_of(exclusions.begin(), exclusions.end(),
                     [&](const NamePattern& entry) { return NamesModule(entry, module); });
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
  const checkpoint::ConfigFact fact = checkpoint::FindQuantizationConfig(config);
  if (!fact) return result;
  const Json* object = fact.value;
  result.present = true;
  result.pointer = fact.pointer;
  ReadCommonFields(*object, "ignore", &result);
  result.producer = ProducerText(*object);
  result.quant_method = StringField(*object, "quant_method");
  result.moe_quant_algo = StringField(*object, "moe_quant_algo");
  result.scale_fmt = StringField(*object, "scale_fmt");
  ReadUnconverted(*object, &result);
  if (result.IsCompressedTensors()) ReadGroups(*object, &result);
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
  const bool sizes_differ = a.group_size && b.group_size && *a.group_size != *b.group_size;
  if (sizes_differ) fields.emplace_back("group_size");
  if (a.quantized_layers != b.quantized_layers) fields.emplace_back("quantized_layers");
  if (a.exclusions != b.exclusions) fields.emplace_back("ignore / exclude_modules");
  if (a.producer != b.producer) fields.emplace_back(kProducerField);
  return fields;
}

}  // namespace vernier::audit
