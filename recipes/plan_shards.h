// Where every output tensor lies.
#ifndef VERNIER_RECIPES_PLAN_SHARDS_H_
#define VERNIER_RECIPES_PLAN_SHARDS_H_

#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::recipes {

// Fills plan.shards from its other fields: the files that plan.container names, in the order of the
// source's. A kept weight's parts go where what becomes of their shards goes; a converted weight's
// new tensors all go where its main tensor would, with input scales for the formats that have them
// where plans ask for them; a cache's scales go where the weight beside which they stand does.
// kBadRule when a new tensor's name belongs to another tensor. The bytes depend on nothing but the
// arguments.
void LayOutShards(const checkpoint::SourceModel& source, Plan& plan);

// The shards as plan.container sees them. They point into the plan.
std::vector<checkpoint::PlannedFile> PlannedFiles(const Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_SHARDS_H_
