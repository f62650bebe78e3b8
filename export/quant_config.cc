#include "export/quant_config.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "export/compressed_tensors_config.h"
#include "export/modelopt_config.h"
#include "export/quant_config_modules.h"
#include "recipes/source_convention.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using recipes::TargetFormat;

constexpr std::string_view kQuantizationConfig = "quantization_config";
constexpr std::string_view kExpertDtype = "expert_dtype";

// Sets, or with a null `after` removes, a field of config.json.
void Patch(std::string_view key, Json after, std::string reason, OutputConfigs& configs) {
  const auto found = configs.config.find(key);
  Json before = found == configs.config.end() ? Json() : *found;
  if (before == after) return;
  if (after.is_null()) {
    configs.config.erase(found);
  } else {
    configs.config[std::string(key)] = after;
  }
  configs.patches.push_back({.path = "/" + std::string(key),
                             .before = std::move(before),
                             .after = std::move(after),
                             .reason = std::move(reason)});
}

Json SourceHfQuantConfig(const checkpoint::SourceModel& source) {
  const std::filesystem::path path = source.checkpoint.directory() / kHfQuantConfigFileName;
  return std::filesystem::exists(path) ? ReadJsonFile(path) : Json();
}

// The native config with what was dequantised in the list by which engines and transformers leave
// modules alone.
Json WithoutDequantised(Json quantization, const checkpoint::SourceModel& source,
                        const recipes::Plan& plan) {
  constexpr std::string_view kList = "modules_to_not_convert";
  std::set<std::string> modules;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format != TargetFormat::kBf16) continue;
    modules.insert(source.layout.weights[i].module);
  }
  if (modules.empty()) return quantization;
  const auto listed = quantization.find(kList);
  if (listed != quantization.end() && listed->is_array()) {
    for (const Json& module : *listed) {
      if (module.is_string()) modules.insert(module.get<std::string>());
    }
  }
  quantization[std::string(kList)] = modules;
  return quantization;
}

void PatchNative(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                 const ModuleFormats& formats, std::string_view version, OutputConfigs& configs) {
  Json quantization =
      WithoutDequantised(configs.config[std::string(kQuantizationConfig)], source, plan);
  const bool has_nvfp4 = std::ranges::any_of(
      formats, [](const ModuleFormat& module) { return module.format == TargetFormat::kNvfp4; });
  if (has_nvfp4) {
    ModeloptConfig extended = ExtendNativeConfig(quantization, source, formats, version);
    quantization = std::move(extended.flat);
    configs.hf_quant_config = std::move(extended.nested);
  } else {
    quantization = WithoutExtension(std::move(quantization));
  }
  Patch(kQuantizationConfig, std::move(quantization),
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
  Patch(kQuantizationConfig, std::move(quantization), "says how modules are quantised now",
        configs);
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
  Patch(kExpertDtype, fp8 ? Json("fp8") : Json(), "the routed experts are not FP4 any more",
        configs);
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
    Patch(kQuantizationConfig, Json(), "nothing is quantised any more", configs);
  } else if (recipes::StaysNative(source, plan)) {
    PatchNative(source, plan, formats, version, configs);
  } else {
    PatchNew(source, plan, formats, version, configs);
  }
  PatchExpertDtype(source, formats, configs);
  return configs;
}

}  // namespace vernier::exporter
