// What an engine finds in each weight of an output, whether converted or kept.
#ifndef VERNIER_DIALECTS_MODULE_FORMATS_H_
#define VERNIER_DIALECTS_MODULE_FORMATS_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/formats/codec.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/source_model.h"

namespace vernier::dialects {

struct ModuleFormat {
  checkpoint::Format format = checkpoint::formats::kBf16;  // kBf16: not quantised
  bool input_scale = false;                                // a static one is stored
  int64_t block_rows = 0;                                  // of ScaleSpan::kBlock
  int64_t block_columns = 0;  // columns that share a scale; 0 for one scale per row or weight

  auto operator<=>(const ModuleFormat&) const = default;
};

// Parallel to ModelLayout::weights.
using ModuleFormats = std::vector<ModuleFormat>;

// The quantised weights by their format, as indices in layout order.
std::map<ModuleFormat, std::vector<size_t>> GroupByFormat(const ModuleFormats& formats);

// "layers.3.ffn.experts.7.w1" and "layers.3.ffn.experts.gate_up_proj" -> "layers.3.ffn.experts":
// engines treat a layer's experts as one module.
std::string EngineModule(const checkpoint::LogicalWeight& weight);

// Whether the model's head is the embedding, so that the layout has no weight for it. Engines then
// build a head of the name "lm_head" all the same.
bool HasTiedHead(const checkpoint::SourceModel& source);

}  // namespace vernier::dialects

#endif  // VERNIER_DIALECTS_MODULE_FORMATS_H_
