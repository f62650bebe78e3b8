// The dialect in which DeepSeek and others release FP8 blocks: X.scale or X.weight_scale_inv, and a
// quantization_config with quant_method "fp8". Outputs keep it where native weights stay.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "checkpoint/config_facts.h"
#include "dialects/dialect.h"
#include "dialects/ignore_patterns.h"
#include "dialects/modelopt_fields.h"
#include "quantizers/nvfp4.h"

namespace vernier::dialects {
namespace {

using checkpoint::LogicalWeight;

bool HasNativeNames(const checkpoint::SourceModel& source, const LogicalWeight& weight) {
  const std::string& main = source.checkpoint.tensor(weight.main).info.name;
  const std::string& scale = source.checkpoint.tensor(weight.scale).info.name;
  return !main.ends_with(kCompressedTensors.parts.packed_codes) &&
         !scale.ends_with(kModelopt.parts.scale);
}

// The native config with what was dequantised in the lists by which modules are left alone: the one
// of transformers, and where it is there vLLM's and SGLang's, which then read no other.
Json WithoutDequantised(Json quantization, const std::vector<std::string>& dequantised) {
  constexpr const char* kList = "modules_to_not_convert";
  constexpr const char* kEngineList = "ignored_layers";
  if (dequantised.empty()) return quantization;
  std::set<std::string> modules(dequantised.begin(), dequantised.end());
  for (const char* list : {kList, kEngineList}) {
    const auto listed = quantization.find(list);
    if (listed == quantization.end() || !listed->is_array()) continue;
    for (const Json& module : *listed) {
      if (module.is_string()) modules.insert(module.get<std::string>());
    }
  }
  quantization[kList] = modules;
  if (quantization.contains(kEngineList)) quantization[kEngineList] = modules;
  return quantization;
}

// The native weights are the base config's to describe: here they count as not quantised.
ModuleFormats OnlyNvfp4(ModuleFormats formats) {
  for (ModuleFormat& module : formats) {
    if (module.format != checkpoint::formats::kNvfp4) module = {};
  }
  return formats;
}

bool HasNvfp4(const ModuleFormats& formats) {
  return std::ranges::any_of(formats, [](const ModuleFormat& module) {
    return module.format == checkpoint::formats::kNvfp4;
  });
}

bool HasNvfp4Experts(const checkpoint::ModelLayout& layout, const ModuleFormats& formats) {
  for (size_t i = 0; i < formats.size(); ++i) {
    const bool routed = layout.weights[i].role == checkpoint::Role::kRoutedExpert;
    if (routed && formats[i].format == checkpoint::formats::kNvfp4) return true;
  }
  return false;
}

// `native` with what tells engines about the NVFP4 modules. quant_method stays "fp8", by which
// engines choose their DeepSeek-V4 code, and moe_quant_algo "NVFP4" is for the experts. Layout of
// the fields: nvidia/DeepSeek-V4-Pro-NVFP4, config.json and hf_quant_config.json.
void Extend(const ConfigRequest& request, QuantConfig& native) {
  const checkpoint::ModelLayout& layout = request.source.layout;
  const ModuleFormats formats = OnlyNvfp4(request.formats);
  const ModeloptFields fields = {
      .algo = kModeloptMixedAlgo,
      .group_size = quantizers::kNvfp4BlockSize,
      .layers = ModeloptLayers(layout, formats),
      .ignore = IgnorePatterns(layout, QuantisedFlags(formats), Routers::kLeftOut),
      .producer = ModeloptProducer(request.version)};
  Json& flat = native.config;
  if (HasNvfp4Experts(layout, formats)) {
    flat["moe_quant_algo"] = checkpoint::formats::kNvfp4.modelopt.algo;
  }
  flat["quant_algo"] = fields.algo;
  flat["kv_cache_quant_algo"] = nullptr;
  flat["group_size"] = fields.group_size;
  const Json operand =
      ModeloptOperand(checkpoint::BitsOf(checkpoint::formats::kNvfp4.parts), fields.group_size);
  flat["config_groups"] = {
      {"group_0", {{"input_activations", operand}, {"targets", {"Linear"}}, {"weights", operand}}}};
  flat["quantized_layers"] = fields.layers;
  flat["ignore"] = fields.ignore;
  flat["producer"] = fields.producer;
  native.hf_quant_config = ModeloptNestedForm(fields);
}

// Without the fields that Extend adds: of a source that was extended before, and has no NVFP4
// module any more.
void RemoveExtension(Json& native) {
  for (const std::string_view field :
       {"moe_quant_algo", "quant_algo", "kv_cache_quant_algo", "group_size", "config_groups",
        "quantized_layers", "ignore", "producer"}) {
    native.erase(std::string(field));
  }
}

QuantConfig MakeNativeConfig(const ConfigRequest& request) {
  const checkpoint::ConfigFact fact = checkpoint::FindQuantizationConfig(request.config);
  QuantConfig native = {.place = fact.pointer,
                        .config = WithoutDequantised(*fact.value, request.dequantised),
                        .hf_quant_config = {},
                        .reason = "says which modules are not quantised now"};
  if (HasNvfp4(request.formats)) {
    native.reason = "says which modules are NVFP4 now";
    Extend(request, native);
  } else {
    RemoveExtension(native.config);
  }
  return native;
}

}  // namespace

constinit const Dialect kNative = {.name = "the model's own",
                                   .chosen = false,
                                   .extended_by = &kModelopt,
                                   .names = HasNativeNames,
                                   .make_config = MakeNativeConfig};

}  // namespace vernier::dialects
