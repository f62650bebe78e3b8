#include "export/quant_config_modules.h"

#include <algorithm>

#include "checkpoint/families/kv_cache.h"
#include "checkpoint/kv_cache_format.h"
#include "recipes/target_format.h"

namespace vernier::exporter {
namespace {

using checkpoint::BlockSize;
using checkpoint::Format;
using checkpoint::KvCacheFormat;
using checkpoint::LogicalWeight;
using checkpoint::ScaleSpan;
using dialects::ModuleFormat;

// `blocks`: of scales of blocks or groups.
ModuleFormat Describe(Format format, bool input_scale, const BlockSize& blocks) {
  ModuleFormat module = {.format = format, .input_scale = input_scale};
  const ScaleSpan span = format->parts.span;
  if (span == ScaleSpan::kBlock) module.block_rows = blocks.rows;
  if (span == ScaleSpan::kBlock || span == ScaleSpan::kGroup) module.block_columns = blocks.columns;
  return module;
}

ModuleFormat ConvertedFormat(const recipes::WeightPlan& weight, const recipes::Plan& plan) {
  const Format format = weight.format;
  const bool of_blocks = format->parts.span == ScaleSpan::kBlock;
  return Describe(format, weight.HasInputScale(),
                  of_blocks ? plan.fp8_blocks.size : BlockSize{1, format->parts.group});
}

ModuleFormat KeptFormat(const LogicalWeight& weight) {
  const Format format = recipes::FormatOf(weight);
  if (!format) return {};
  return Describe(format, weight.input_scale != checkpoint::Checkpoint::kNotFound,
                  {weight.block_rows, weight.block_columns});
}

}  // namespace

dialects::ModuleFormats FormatsOf(const checkpoint::SourceModel& source,
                                  const recipes::Plan& plan) {
  dialects::ModuleFormats formats;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const recipes::WeightPlan& weight = plan.weights[i];
    formats.push_back(weight.format ? ConvertedFormat(weight, plan)
                                    : KeptFormat(source.layout.weights[i]));
  }
  return formats;
}

KvCacheFormat KvCacheOf(const checkpoint::SourceModel& source, const recipes::Plan& plan) {
  if (plan.kv_cache != recipes::KvCache::kNone) return recipes::FormatOf(plan.kv_cache);
  const KvCacheFormat announced = checkpoint::AnnouncedKvCache(source.checkpoint);
  if (announced != KvCacheFormat::kModel) return announced;
  const bool scales = std::ranges::any_of(source.layout.weights, [](const LogicalWeight& weight) {
    return weight.name.ends_with(checkpoint::kKeyScale.scale);
  });
  return scales ? KvCacheFormat::kFp8 : KvCacheFormat::kModel;
}

}  // namespace vernier::exporter
