#include "recipes/plan_stacks.h"

#include <cstddef>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

[[noreturn]] void ThrowSplitStack(const std::string& stored) {
  throw Error(ErrorCode::kBadRule, stored, "the experts that it holds are quantised only in part",
              "Let one rule decide all of them");
}

}  // namespace

void CompleteStacks(const checkpoint::SourceModel& source, Plan& plan) {
  const auto stack_of = [&](size_t weight) {
    return source.checkpoint.PartOf(source.layout.weights[weight].main);
  };
  std::unordered_map<size_t, bool> written;  // stored tensors, and whether they are quantised
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const auto* part = stack_of(i);
    if (part == nullptr || plan.weights[i].format == kKeep) continue;
    const bool quantised = IsQuantised(plan.weights[i].format);
    if (written.try_emplace(part->stored, quantised).first->second != quantised) {
      ThrowSplitStack(source.checkpoint.tensor(part->stored).info.name);
    }
  }
  if (written.empty()) return;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const auto* part = stack_of(i);
    if (part == nullptr || plan.weights[i].format != kKeep) continue;
    const auto found = written.find(part->stored);
    if (found == written.end()) continue;
    if (found->second) ThrowSplitStack(source.checkpoint.tensor(part->stored).info.name);
    plan.weights[i].format = formats::kBf16;
    plan.weights[i].with_stack = true;
  }
}

}  // namespace vernier::recipes
