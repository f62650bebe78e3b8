#include "export/modelopt_config.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "export/ignore_patterns.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using recipes::TargetFormat;

constexpr std::string_view kNvfp4Algo = "NVFP4";
constexpr std::string_view kMixedAlgo = "MIXED_PRECISION";
constexpr int kFp4Bits = 4;
constexpr int kFp8Bits = 8;

std::string_view AlgoOf(const ModuleFormat& module) {
  switch (module.format) {
    case TargetFormat::kNvfp4:
      return module.input_scale ? kNvfp4Algo : "W4A16_NVFP4";
    case TargetFormat::kMxfp4:
      return "mxfp4";
    case TargetFormat::kMxfp8:
      return "MXFP8";
    case TargetFormat::kFp8Tensor:
      return "FP8";
    case TargetFormat::kFp8Channel:
      return "FP8_PER_CHANNEL_PER_TOKEN";
    case TargetFormat::kFp8Block:
      return "fp8_pb_wo";
    default:
      assert(false && "plans have no such weight in this dialect");
      return {};
  }
}

// Columns that share a scale, for the formats whose config says so; 0 otherwise.
int64_t GroupSize(const ModuleFormat& module) {
  return module.format == TargetFormat::kFp8Block ? 0 : module.block_columns;
}

Json Operand(int bits, int64_t group_size) {
  Json operand = {{"dynamic", false}};
  if (group_size > 0) operand["group_size"] = group_size;
  operand["num_bits"] = bits;
  operand["type"] = "float";
  return operand;
}

bool QuantisesInputs(const ModuleFormat& module) {
  return module.input_scale || module.format == TargetFormat::kFp8Channel ||
         module.format == TargetFormat::kMxfp8;
}

Json ConfigGroup(const ModuleFormat& module, Json targets) {
  const bool is_fp4 =
      module.format == TargetFormat::kNvfp4 || module.format == TargetFormat::kMxfp4;
  const Json operand = Operand(is_fp4 ? kFp4Bits : kFp8Bits, GroupSize(module));
  Json group = Json::object();
  if (QuantisesInputs(module)) group["input_activations"] = operand;
  group["targets"] = std::move(targets);
  group["weights"] = operand;
  if (module.format == TargetFormat::kFp8Channel) group["weights"]["strategy"] = "channel";
  return group;
}

Json LayerEntry(const ModuleFormat& module) {
  Json entry = Json::object();
  if (GroupSize(module) > 0) entry["group_size"] = GroupSize(module);
  entry["quant_algo"] = AlgoOf(module);
  return entry;
}

// Engine modules of the weights, in layout order; a layer's experts follow each other.
std::vector<std::string> EngineModules(const checkpoint::ModelLayout& layout,
                                       const std::vector<size_t>& weights) {
  std::vector<std::string> modules;
  for (const size_t i : weights) {
    std::string module = EngineModule(layout.weights[i]);
    if (modules.empty() || module != modules.back()) modules.push_back(std::move(module));
  }
  return modules;
}

Json Producer(std::string_view version) {
  return {{"name", "modelopt"}, {"version", "vernier-" + std::string(version)}};
}

Json QuantizedLayers(const checkpoint::ModelLayout& layout, const ModuleFormats& formats) {
  Json layers = Json::object();
  std::string last;
  for (size_t i = 0; i < formats.size(); ++i) {
    if (formats[i].format == TargetFormat::kBf16) continue;
    std::string module = EngineModule(layout.weights[i]);
    if (module == last) continue;
    layers[module] = LayerEntry(formats[i]);
    last = std::move(module);
  }
  return layers;
}

std::vector<bool> QuantisedFlags(const ModuleFormats& formats) {
  std::vector<bool> flags;
  for (const ModuleFormat& module : formats) flags.push_back(module.format != TargetFormat::kBf16);
  return flags;
}

// The native weights are the base config's to describe: here they count as not quantised.
ModuleFormats OnlyNvfp4(ModuleFormats formats) {
  for (ModuleFormat& module : formats) {
    if (module.format != TargetFormat::kNvfp4) module = {};
  }
  return formats;
}

// What the flat and the nested form of a new config have in common.
struct NewConfig {
  std::string_view algo;
  int64_t group_size = 0;
  Json layers = nullptr;  // null unless mixed
  Json ignore;
  Json producer;
  bool fp8_kv_cache = false;
};

Json FlatForm(const NewConfig& config, Json groups) {
  Json flat = {{"config_groups", std::move(groups)}};
  if (config.group_size > 0) flat["group_size"] = config.group_size;
  flat["ignore"] = config.ignore;
  if (config.fp8_kv_cache) flat["kv_cache_scheme"] = Operand(kFp8Bits, 0);
  flat["producer"] = config.producer;
  flat["quant_algo"] = config.algo;
  flat["quant_method"] = "modelopt";
  if (!config.layers.is_null()) flat["quantized_layers"] = config.layers;
  return flat;
}

Json NestedForm(const NewConfig& config) {
  Json quantization = {{"quant_algo", config.algo}, {"kv_cache_quant_algo", nullptr}};
  if (config.fp8_kv_cache) quantization["kv_cache_quant_algo"] = "FP8";
  if (config.group_size > 0) quantization["group_size"] = config.group_size;
  if (!config.layers.is_null()) quantization["quantized_layers"] = config.layers;
  quantization["exclude_modules"] = config.ignore;
  return {{"producer", config.producer}, {"quantization", std::move(quantization)}};
}

}  // namespace

ModeloptConfig ExtendNativeConfig(const Json& native, const checkpoint::SourceModel& source,
                                  const ModuleFormats& all_formats, std::string_view version) {
  const ModuleFormats formats = OnlyNvfp4(all_formats);
  const std::vector<LogicalWeight>& weights = source.layout.weights;
  bool routed_experts = false;
  for (size_t i = 0; i < weights.size(); ++i) {
    routed_experts |=
        weights[i].role == Role::kRoutedExpert && formats[i].format == TargetFormat::kNvfp4;
  }
  const NewConfig config = {
      .algo = kMixedAlgo,
      .group_size = quantizers::kNvfp4BlockSize,
      .layers = QuantizedLayers(source.layout, formats),
      .ignore = IgnorePatterns(source.layout, QuantisedFlags(formats), Routers::kLeftOut),
      .producer = Producer(version)};

  Json flat = native;
  if (routed_experts) flat["moe_quant_algo"] = kNvfp4Algo;
  flat["quant_algo"] = config.algo;
  flat["kv_cache_quant_algo"] = nullptr;
  flat["group_size"] = config.group_size;
  const Json operand = Operand(kFp4Bits, config.group_size);
  flat["config_groups"] = {
      {"group_0", {{"input_activations", operand}, {"targets", {"Linear"}}, {"weights", operand}}}};
  flat["quantized_layers"] = config.layers;
  flat["ignore"] = config.ignore;
  flat["producer"] = config.producer;
  return {std::move(flat), NestedForm(config)};
}

Json WithoutExtension(Json native) {
  for (const std::string_view field :
       {"moe_quant_algo", "quant_algo", "kv_cache_quant_algo", "group_size", "config_groups",
        "quantized_layers", "ignore", "producer"}) {
    native.erase(std::string(field));
  }
  return native;
}

ModeloptConfig MakeModeloptConfig(const checkpoint::SourceModel& source,
                                  const ModuleFormats& formats, bool fp8_kv_cache,
                                  std::string_view version) {
  const auto groups = GroupByFormat(formats);
  assert(!groups.empty());
  Json ignore = IgnorePatterns(source.layout, QuantisedFlags(formats), Routers::kListed);
  if (HasTiedHead(source)) ignore.push_back("lm_head");
  NewConfig config = {.algo = kMixedAlgo,
                      .ignore = std::move(ignore),
                      .producer = Producer(version),
                      .fp8_kv_cache = fp8_kv_cache};
  if (groups.size() == 1) {
    const ModuleFormat& only = groups.begin()->first;
    config.algo = AlgoOf(only);
    config.group_size = GroupSize(only);
    return {FlatForm(config, {{"group_0", ConfigGroup(only, Json::array({"Linear"}))}}),
            NestedForm(config)};
  }
  config.layers = QuantizedLayers(source.layout, formats);
  Json described = Json::object();
  for (const auto& [module, weights] : groups) {
    described["group_" + std::to_string(described.size())] =
        ConfigGroup(module, EngineModules(source.layout, weights));
  }
  return {FlatForm(config, std::move(described)), NestedForm(config)};
}

}  // namespace vernier::exporter
