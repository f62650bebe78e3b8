// Experts in FP8 by rows in the modelopt dialect, which recipes are refused because no engine loads
// them, and which sources may have all the same.
#ifndef VERNIER_TESTS_EXPORT_FP8_ROWS_H_
#define VERNIER_TESTS_EXPORT_FP8_ROWS_H_

#include <filesystem>

#include "recipes/plan_shards.h"
#include "tests/export/export_recipe.h"

namespace vernier::exporter {

inline void WriteFp8Rows(const checkpoint::SourceModel& source,
                         const std::filesystem::path& output) {
  namespace formats = checkpoint::formats;
  const recipes::Recipe recipe =
      recipes::ConvertRecipe({.source = source, .output = output, .weights = formats::kMxfp8});
  recipes::Plan plan = recipes::MakePlan(source, recipe);
  for (recipes::WeightPlan& weight : plan.weights) {
    if (weight.format == formats::kMxfp8) weight.format = formats::kFp8Channel;
  }
  recipes::LayOutShards(source, plan);
  ExportPlan(source, recipe, plan);
}

}  // namespace vernier::exporter

#endif  // VERNIER_TESTS_EXPORT_FP8_ROWS_H_
