// Which weights get one format together, and what they could get.
#ifndef VERNIER_RECIPES_FORMAT_UNITS_H_
#define VERNIER_RECIPES_FORMAT_UNITS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// Weights that get one format together: what an engine fuses, or all routed experts of a layer.
struct FormatUnit {
  struct Option {
    Format format = formats::kNvfp4;
    uint64_t bytes = 0;  // of all its weights, with their scales
  };

  std::string name;
  std::vector<size_t> weights;  // indices into ModelLayout::weights
  std::vector<Option> options;  // NVFP4 first, then those that take more
};

// Of the weights that `plan` makes NVFP4 and encodes anew; those that have no other option are
// among them. Options are those that an engine takes beside the rest: fp8, unless weights stay in
// the model's own FP8; and as released, or BF16 where that cannot be.
std::vector<FormatUnit> FormatUnits(const checkpoint::SourceModel& source, const Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_FORMAT_UNITS_H_
