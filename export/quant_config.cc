#include "export/quant_config.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "checkpoint/config_facts.h"
#include "export/compressed_tensors_config.h"
#include "export/modelopt_config.h"
#include "export/quant_config_modules.h"
#include "recipes/source_convention.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using recipes::TargetFormat;

// Where all engines look first, and so a new configuration stands.
constexpr std::string_view kQuantizationConfig = "/quantization_config";
constexpr std::string_view kExpertDtype = "expert_dtype";

// Sets, or with a null `after` removes, the value at a pointer into config.json.
void Patch(std::string_view path, Json after, std::string reason, OutputConfigs& configs) {
  const Json::json_pointer pointer{std::string(path)};
  Json before = configs.config.contains(pointer) ? configs.config.at(pointer) : Json();
  if (before == after) return;
  if (after.is_null()) {
    configs.config.at(pointer.parent_pointer()).erase(pointer.back());
  } else {
    configs.config[pointer] = after;
  }
  configs.patches.push_back({.path = std::string(path),
                             .before = std::move(before),
                             .after = std::move(after),
                             .reason = std::move(reason)});
}

// One configuration at `place`: what stands elsewhere would be another.
void PatchQuantization(std::string_view place, Json after, const std::string& reason,
                       OutputConfigs& configs) {
  for (const std::string& other : checkpoint::QuantizationConfigPlaces(configs.config)) {
    if (other != place) Patch(other, Json(), reason, configs);
  }
  Patch(place, std::move(after), reason, configs);
}

Json SourceHfQuantConfig(const checkpoint::SourceModel& source) {
  const std::filesystem::path path = source.checkpoint.directory() / kHfQuantConfigFileName;
  return std::filesystem::exists(path) ? ReadJsonFile(path) : Json();
}

// The native config with what was dequantised in the lists by which modules are left alone: the one
// of transformers, and where it is there vLLM's and SGLang's, which then read no other.
Json WithoutDequantised(Json quantization, const checkpoint::SourceModel& source,
                        const recipes::Plan& plan) {
  constexpr const char* kList = "modules_to_not_convert";
  constexpr const char* kEngineList = "ignored_layers";
  std::set<std::string> modules;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format != TargetFormat::kBf16) continue;
    modules.insert(source.layout.weights[i].module);
  }
  if (modules.empty()) return quantization;
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

void PatchNative(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                 const ModuleFormats& formats, std::string_view version, OutputConfigs& configs) {
  const checkpoint::ConfigFact native = checkpoint::FindQuantizationConfig(configs.config);
  const std::string place = native.pointer;
  Json quantization = WithoutDequantised(*native.value, source, plan);
  const bool has_nvfp4 = std::ranges::any_of(
      formats, [](const ModuleFormat& module) { return module.format == TargetFormat::kNvfp4; });
  if (has_nvfp4) {
    ModeloptConfig extended = ExtendNativeConfig(quantization, source, formats, version);
    quantization = std::move(extended.flat);
    configs.hf_quant_config = std::move(extended.nested);
  } else {
    quantization = WithoutExtension(std::move(quantization));
  }
  PatchQuantization(
      place, std::move(quantization),
      has_nvfp4 ? "says which modules are NVFP4 now" : "says which modules are not quantised now",
      configs);
}

void PatchNew(const checkpoint::SourceModel& source, const recipes::Plan& plan,
              const ModuleFormats& formats, std::string_view version, OutputConfigs& configs) {
  Json quantization;
  const bool fp8_kv_cache = HasFp8KvCache(source.layout, plan);
  if (plan.dialect == recipes::Dialect::kCompressedTensors) {
    quantization = MakeCompressedTensorsConfig(source, formats, fp8_kv_cache);
  } else {
    ModeloptConfig made = MakeModeloptConfig(source, formats, fp8_kv_cache, version);
    quantization = std::move(made.flat);
    configs.hf_quant_config = std::move(made.nested);
  }
  PatchQuantization(kQuantizationConfig, std::move(quantization),
                    "says how modules are quantised now", configs);
}

void PatchExpertDtype(const checkpoint::SourceModel& source, const ModuleFormats& formats,
                      OutputConfigs& configs) {
  if (!configs.config.contains(kExpertDtype)) return;
  const std::vector<LogicalWeight>& weights = source.layout.weights;
  const auto any = [&](auto accepts) {
    for (size_t i = 0; i < weights.size(); ++i) {
      if (weights[i].role == Role::kRoutedExpert && accepts(formats[i].format)) return true;
    }
    return false;
  };
  if (any([](TargetFormat format) {
        return format == TargetFormat::kNvfp4 || format == TargetFormat::kMxfp4;
      })) {
    return;
  }
  const bool fp8 = any([](TargetFormat format) { return format == TargetFormat::kFp8Block; });
  Patch("/" + std::string(kExpertDtype), fp8 ? Json("fp8") : Json(),
        "the routed experts are not FP4 any more", configs);
}

}  // namespace

OutputConfigs MakeOutputConfigs(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                const recipes::Recipe& recipe, std::string_view version) {
  OutputConfigs configs;
  configs.config = source.checkpoint.config();
  configs.patches = source.family->PatchConfig(configs.config);
  const bool converts = std::ranges::any_of(plan.weights, [](const recipes::WeightPlan& weight) {
    return weight.format != TargetFormat::kKeep;
  });
  if (!converts && plan.kv_cache == recipes::KvCache::kNone) {
    configs.hf_quant_config = SourceHfQuantConfig(source);
    return configs;
  }
  const ModuleFormats formats = FormatsOf(source, plan, recipe);
  if (GroupByFormat(formats).empty()) {
    PatchQuantization(kQuantizationConfig, Json(), "nothing is quantised any more", configs);
  } else if (recipes::StaysNative(source, plan)) {
    PatchNative(source, plan, formats, version, configs);
  } else {
    PatchNew(source, plan, formats, version, configs);
  }
  PatchExpertDtype(source, formats, configs);
  return configs;
}

}  // namespace vernier::exporter
