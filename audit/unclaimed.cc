#include "audit/unclaimed.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "audit/engines/runtime_module.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

// Parameters whose names say what they are, whatever their shape.
constexpr std::array<std::string_view, 5> kExplained = {"embed", "conv", "norm", "bias",
                                                        "position"};

// Linear layers have two dimensions and stacks of them three: more make a convolution.
constexpr size_t kMostDimensions = 3;

bool IsExplained(const Subject& subject, const Module& module) {
  if (module.meaning.role != Role::kOther || !IsJudged(module.format)) return true;
  if (module.format == formats::kInteger) return true;
  const size_t dimensions = subject.Info(module.weight).shape.size();
  if (dimensions < 2 || dimensions > kMostDimensions) return true;
  return std::any_of(kExplained.begin(), kExplained.end(), [&](std::string_view word) {
    return module.name.find(word) != std::string::npos;
  });
}

}  // namespace

std::vector<std::string> UnclaimedMatrices(const Subject& subject) {
  std::unordered_set<const Module*> claimed;
  for (const RuntimeModule& module : BuildRuntimeModules(subject)) {
    claimed.insert(module.members.begin(), module.members.end());
  }
  std::vector<std::string> unclaimed;
  for (const Module& module : subject.index.modules) {
    if (module.weight == kAbsent || claimed.contains(&module)) continue;
    if (!IsExplained(subject, module)) unclaimed.push_back(subject.Info(module.weight).name);
  }
  return unclaimed;
}

}  // namespace vernier::audit
