// Where every output tensor lies.
#ifndef VERNIER_RECIPES_PLAN_SHARDS_H_
#define VERNIER_RECIPES_PLAN_SHARDS_H_

#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::recipes {

// One shard per source shard, in that order. A kept weight's parts stay in their shards; a
// quantised weight's new tensors all go where its main tensor was. kBadRule when a new tensor's
// name belongs to a kept tensor. The bytes depend on nothing but the arguments.
std::vector<OutputShard> LayOutShards(const checkpoint::SourceModel& source,
                                      const std::vector<WeightPlan>& plans);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_SHARDS_H_
