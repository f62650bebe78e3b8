#include "quantizers/simd_targets.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#include "hwy/highway.h"
// clang-format on

namespace vernier::quantizers {

std::vector<int64_t> CompiledSimdTargets() {
  std::vector<int64_t> targets;
  for (int64_t rest = HWY_TARGETS; rest != 0; rest &= rest - 1) targets.push_back(rest & -rest);
  return targets;
}

std::vector<int64_t> SimdTargets() { return hwy::SupportedAndGeneratedTargets(); }

std::string SimdTargetName(int64_t target) { return hwy::TargetName(target); }

ForcedSimdTarget::ForcedSimdTarget(int64_t target) { hwy::SetSupportedTargetsForTest(target); }

ForcedSimdTarget::~ForcedSimdTarget() { hwy::SetSupportedTargetsForTest(0); }

}  // namespace vernier::quantizers
