#include "recipes/plan_summary.h"

#include <map>
#include <utility>

#include "checkpoint/stored_bytes.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using checkpoint::SourceModel;

// What the weights became, parallel to the layout.
std::vector<TensorTotals> TotalsOfWeights(const SourceModel& source, const Plan& plan) {
  std::vector<TensorTotals> totals(plan.weights.size());
  for (size_t i = 0; i < totals.size(); ++i) {
    totals[i].source_tensors = source.layout.weights[i].Parts().size();
    totals[i].source_bytes = checkpoint::StoredBytes(source.checkpoint, source.layout.weights[i]);
  }
  for (const OutputShard& shard : plan.shards) {
    for (const OutputTensor& tensor : shard.tensors) {
      ++totals[tensor.weight].output_tensors;
      totals[tensor.weight].output_bytes += tensor.info.Bytes();
    }
  }
  return totals;
}

void Add(const TensorTotals& more, TensorTotals& sum) {
  sum.source_tensors += more.source_tensors;
  sum.source_bytes += more.source_bytes;
  sum.output_tensors += more.output_tensors;
  sum.output_bytes += more.output_bytes;
}

}  // namespace

PlanSummary SummarizePlan(const SourceModel& source, const Plan& plan) {
  const std::vector<TensorTotals> totals = TotalsOfWeights(source, plan);
  std::map<std::pair<Role, std::string>, RoleSummary> rows;
  PlanSummary summary;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Role role = source.layout.weights[i].role;
    const WeightPlan& weight = plan.weights[i];
    const std::string action = weight.dropped ? "drop" : TargetText(weight.format, weight.scale);
    RoleSummary& row = rows[{role, action}];
    row.role = role;
    row.action = action;
    ++row.weights;
    Add(totals[i], row.totals);
    Add(totals[i], summary.totals);
  }
  for (auto& [key, row] : rows) summary.rows.push_back(std::move(row));
  return summary;
}

DataPasses CountPasses(const SourceModel& source, const Plan& plan) {
  DataPasses passes;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const LogicalWeight& weight = source.layout.weights[i];
    const uint64_t bytes = checkpoint::StoredBytes(source.checkpoint, weight);
    passes.quantisation += bytes;
    const bool in_loop = weight.layer >= 0 && weight.role != Role::kMtp;
    if (in_loop && !plan.observed_modules.empty()) passes.calibration += bytes;
  }
  return passes;
}

}  // namespace vernier::recipes
