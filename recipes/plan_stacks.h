// Experts that one tensor of the source holds become something together.
#ifndef VERNIER_RECIPES_PLAN_STACKS_H_
#define VERNIER_RECIPES_PLAN_STACKS_H_

#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::recipes {

// Where some weights of a stored stack are written anew in BF16 and others would stay, these become
// BF16 too: the stored tensor cannot be carried in part. kBadRule where only some are quantised.
void CompleteStacks(const checkpoint::SourceModel& source, Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_STACKS_H_
