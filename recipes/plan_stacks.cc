#include "recipes/plan_stacks.h"

#include <cstddef>
#include <unordered_set>

namespace vernier::recipes {

void CompleteStacks(const checkpoint::SourceModel& source, Plan& plan) {
  const auto stack_of = [&](size_t weight) {
    return source.checkpoint.PartOf(source.layout.weights[weight].main);
  };
  std::unordered_set<size_t> written;  // stored tensors
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format == kKeep) continue;
    if (const auto* part = stack_of(i)) written.insert(part->stored);
  }
  if (written.empty()) return;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const auto* part = stack_of(i);
    const bool left = part != nullptr && plan.weights[i].format == kKeep;
    if (left && written.contains(part->stored)) plan.weights[i].format = formats::kBf16;
  }
}

}  // namespace vernier::recipes
