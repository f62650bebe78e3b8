#include "export/quant_config_modules.h"

#include <algorithm>

#include "checkpoint/config_facts.h"
#include "checkpoint/families/kv_cache.h"
#include "recipes/target_format.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using recipes::TargetFormat;

ModuleFormat ConvertedFormat(TargetFormat format, const recipes::Plan& plan, bool input_scales) {
  ModuleFormat module = {.format = format,
                         .input_scale = input_scales && recipes::HasInputScale(format)};
  if (format == TargetFormat::kFp8Block) {
    module.block_rows = plan.fp8_blocks.rows;
    module.block_columns = plan.fp8_blocks.columns;
  } else if (recipes::BlockColumns(format) > 1) {
    module.block_columns = recipes::BlockColumns(format);
  }
  return module;
}

ModuleFormat KeptFormat(const LogicalWeight& weight) {
  const std::optional<TargetFormat> format = recipes::FormatOf(weight);
  if (!format) return {};
  ModuleFormat module = {.format = *format,
                         .input_scale = weight.input_scale != checkpoint::Checkpoint::kNotFound};
  const bool has_blocks = *format == TargetFormat::kFp8Block || recipes::BlockColumns(*format) > 1;
  if (*format == TargetFormat::kFp8Block) module.block_rows = weight.block_rows;
  if (has_blocks) module.block_columns = weight.block_columns;
  return module;
}

}  // namespace

ModuleFormats FormatsOf(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                        const recipes::Recipe& recipe) {
  const bool input_scales = recipe.activations != recipes::ActivationScales::kNone;
  ModuleFormats formats;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const TargetFormat format = plan.weights[i].format;
    formats.push_back(format == TargetFormat::kKeep ? KeptFormat(source.layout.weights[i])
                                                    : ConvertedFormat(format, plan, input_scales));
  }
  return formats;
}

std::map<ModuleFormat, std::vector<size_t>> GroupByFormat(const ModuleFormats& formats) {
  std::map<ModuleFormat, std::vector<size_t>> groups;
  for (size_t i = 0; i < formats.size(); ++i) {
    if (recipes::IsQuantised(formats[i].format)) groups[formats[i]].push_back(i);
  }
  return groups;
}

std::string EngineModule(const LogicalWeight& weight) {
  if (weight.role != Role::kRoutedExpert) return weight.module;
  const bool alone = weight.expert >= 0;
  return weight.module.substr(
      0, weight.module.rfind(alone ? "." + std::to_string(weight.expert) + "." : "."));
}

bool HasFp8KvCache(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) {
  if (plan.kv_cache != recipes::KvCache::kNone) return true;
  return std::ranges::any_of(layout.weights, [](const LogicalWeight& weight) {
    return weight.name.ends_with(checkpoint::kKeyScale.scale);
  });
}

bool HasTiedHead(const checkpoint::SourceModel& source) {
  return checkpoint::FindTiedEmbeddings(source.checkpoint.config()) == true &&
         std::ranges::none_of(source.layout.weights, [](const LogicalWeight& weight) {
           return weight.role == Role::kLmHead;
         });
}

}  // namespace vernier::exporter
