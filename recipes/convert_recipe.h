// Recipes for whole models, made without a recipe file.
#ifndef VERNIER_RECIPES_CONVERT_RECIPE_H_
#define VERNIER_RECIPES_CONVERT_RECIPE_H_

#include <filesystem>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

struct ConvertRequest {
  const checkpoint::SourceModel& source;
  std::filesystem::path output;
  std::filesystem::path run_dir = {};  // empty: DefaultRunDirectory(output)
  Format weights = formats::kNvfp4;
  ScaleMethod scale = ScaleMethod::kAuto;
  Dialect dialect = &dialects::kModelopt;
  ActivationScales activations = ActivationScales::kNone;
  float constant_input_scale = 1;         // for kConstant
  std::filesystem::path importance = {};  // see Recipe::importance
  int threads = 0;                        // 0: one a processor
};

// Rules that convert the linear weights of attention, dense MLPs, shared experts and routed
// experts, of those roles that the source has: not embedding, head, routers, indexers, compressors
// or MTP. Of DeepSeek-V4 only the routed experts: engines load its other weights as released or not
// at all. Quantised weights outside these roles become BF16 when the dialect cannot describe them.
// kBf16 converts as DequantizeRecipe does.
//
// kNothingToConvert when the source has no such weight, kUnsupportedFormat when it stacks experts.
// kBadArgument for kKeep, for a scale method that the format lacks, and when two of the directories
// are one. What cannot be converted is MakePlan's to say.
Recipe ConvertRecipe(const ConvertRequest& request);

// Turns every quantised weight, MTP included, to BF16. kNothingToConvert when there is none.
Recipe DequantizeRecipe(const checkpoint::SourceModel& source, const std::filesystem::path& output);

// kNothingToConvert for a plan whose output would be a copy: its rules keep every weight that they
// match, and the key/value cache is not quantised either.
void RequireConversion(const checkpoint::SourceModel& source, const Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_CONVERT_RECIPE_H_
