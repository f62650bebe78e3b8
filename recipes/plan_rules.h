// Which rule decides each weight, and which weights share a scale.
#ifndef VERNIER_RECIPES_PLAN_RULES_H_
#define VERNIER_RECIPES_PLAN_RULES_H_

#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// One WeightPlan per weight of `layout`; the last rule that matches decides. A bf16 rule leaves
// weights that are not quantised as they are (kKeep). Scales are still as the rule asks, and no
// groups are made. Errors: kUnusedRule; kBadRule for a weight that cannot be converted so.
std::vector<WeightPlan> DecideWeights(const checkpoint::SourceModel& source, const Recipe& recipe);

// Joins the weights that `plans` quantises into scale groups, in order of their first members, and
// resolves every scale method. Weights of a fused group share one where their format has a scale
// that all values of a weight share; otherwise each is a group of its own, with the inputs of all.
// Errors: kBadRule for a fused group or a layer's routed experts in more than one format, for a
// group with different methods, and for a lossless cast of what is not MXFP4.
std::vector<ScaleGroup> MakeScaleGroups(const checkpoint::ModelLayout& layout, const Recipe& recipe,
                                        std::vector<WeightPlan>& plans);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_RULES_H_
