// What an engine finds in each weight of an output, whether converted or kept.
#ifndef VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_
#define VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::exporter {

struct ModuleFormat {
  recipes::TargetFormat format = recipes::TargetFormat::kBf16;  // kBf16: not quantised
  bool input_scale = false;                                     // a static one is stored
  int64_t block_rows = 0;                                       // of kFp8Block
  int64_t block_columns = 0;  // columns that share a scale; 0 for one scale per row or weight

  auto operator<=>(const ModuleFormat&) const = default;
};

// Parallel to ModelLayout::weights.
using ModuleFormats = std::vector<ModuleFormat>;
ModuleFormats FormatsOf(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                        const recipes::Recipe& recipe);

// The quantised weights by their format, as indices in layout order.
std::map<ModuleFormat, std::vector<size_t>> GroupByFormat(const ModuleFormats& formats);

// "layers.3.ffn.experts.7.w1" and "layers.3.ffn.experts.gate_up_proj" -> "layers.3.ffn.experts":
// engines treat a layer's experts as one module.
std::string EngineModule(const checkpoint::LogicalWeight& weight);

// Whether the config announces an FP8 key/value cache: the plan says so, or scales of one
// (X.k_scale) are carried.
bool HasFp8KvCache(const checkpoint::ModelLayout& layout, const recipes::Plan& plan);

// Whether the model's head is the embedding, so that the layout has no weight for it. Engines then
// build a head of the name "lm_head" all the same.
bool HasTiedHead(const checkpoint::SourceModel& source);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_
