#include "recipes/plan.h"

#include "recipes/plan_rules.h"
#include "recipes/plan_shards.h"

namespace vernier::recipes {

uint64_t Plan::OutputFileBytes() const {
  uint64_t bytes = 0;
  for (const OutputShard& shard : shards) bytes += shard.file_bytes;
  return bytes;
}

Plan MakePlan(const checkpoint::SourceModel& source, const Recipe& recipe) {
  Plan plan;
  plan.weights = DecideWeights(source.layout, recipe.rules);
  plan.scale_groups = MakeScaleGroups(source.layout, recipe.rules, plan.weights);
  plan.shards = LayOutShards(source, plan.weights);
  for (const OutputShard& shard : plan.shards) {
    for (const OutputTensor& tensor : shard.tensors) plan.tensor_bytes += tensor.info.Bytes();
  }
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format != TargetFormat::kNvfp4) continue;
    plan.observed_modules.push_back(source.layout.weights[i].module);
  }
  return plan;
}

}  // namespace vernier::recipes
