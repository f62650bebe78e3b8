// What engines would not load of a plan's output: said before anything is written.
#ifndef VERNIER_RECIPES_PLAN_ENGINES_H_
#define VERNIER_RECIPES_PLAN_ENGINES_H_

#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// kBadRule for routed experts in a format that no engine loads in the plan's dialect, or not
// without input scales (Dialect::experts_obstacle). Experts that stay, and new FP8 blocks in the
// source's own convention, are not looked at.
void CheckExperts(const checkpoint::SourceModel& source, const Plan& plan);

// A sentence about each thing that one engine refuses and another may load: routed experts written
// one by one of a family whose experts engines load stacked (DecoderConfig::experts_obstacle), FP8
// blocks that do not divide a side of a weight. Engines want whole ones where an expert's gate and
// up projections meet and where the next part of a fused matrix begins, some of all columns too
// (Dialect::strict_about_blocks).
std::vector<std::string> EngineWarnings(const checkpoint::SourceModel& source, const Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_ENGINES_H_
