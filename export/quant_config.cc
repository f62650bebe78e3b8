#include "export/quant_config.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "checkpoint/config_facts.h"
#include "dialects/dialect.h"
#include "export/quant_config_modules.h"
#include "recipes/source_convention.h"

namespace vernier::exporter {
namespace {

using checkpoint::Format;
using checkpoint::LogicalWeight;
using checkpoint::Role;
using dialects::ModuleFormats;
namespace formats = checkpoint::formats;

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

std::vector<std::string> Dequantised(const checkpoint::SourceModel& source,
                                     const recipes::Plan& plan) {
  std::vector<std::string> modules;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format == checkpoint::formats::kBf16) {
      modules.push_back(source.layout.weights[i].module);
    }
  }
  return modules;
}

// By the model's own dialect where weights stay in it.
void PatchQuantized(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                    const ModuleFormats& formats, std::string_view version,
                    OutputConfigs& configs) {
  const dialects::Dialect& dialect =
      recipes::StaysNative(source, plan) ? dialects::kNative : *plan.dialect;
  dialects::QuantConfig made = dialect.make_config({.source = source,
                                                    .config = configs.config,
                                                    .formats = formats,
                                                    .dequantised = Dequantised(source, plan),
                                                    .kv_cache = KvCacheOf(source, plan),
                                                    .version = version});
  configs.hf_quant_config = std::move(made.hf_quant_config);
  PatchQuantization(made.place, std::move(made.config), made.reason, configs);
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
  if (any([](Format format) { return format == formats::kNvfp4 || format == formats::kMxfp4; })) {
    return;
  }
  const bool fp8 = any([](Format format) { return format == formats::kFp8Block; });
  Patch("/" + std::string(kExpertDtype), fp8 ? Json("fp8") : Json(),
        "the routed experts are not FP4 any more", configs);
}

}  // namespace

OutputConfigs MakeOutputConfigs(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                std::string_view version) {
  OutputConfigs configs;
  configs.config = source.checkpoint.config();
  configs.patches = source.family->PatchConfig(configs.config);
  const bool converts = std::ranges::any_of(plan.weights, [](const recipes::WeightPlan& weight) {
    return weight.format != recipes::kKeep;
  });
  if (!converts && plan.kv_cache == recipes::KvCache::kNone) {
    configs.hf_quant_config = SourceHfQuantConfig(source);
    return configs;
  }
  const ModuleFormats formats = FormatsOf(source, plan);
  if (dialects::GroupByFormat(formats).empty()) {
    PatchQuantization(dialects::kNewConfigPlace, Json(), "nothing is quantised any more", configs);
  } else {
    PatchQuantized(source, plan, formats, version, configs);
  }
  PatchExpertDtype(source, formats, configs);
  return configs;
}

}  // namespace vernier::exporter
