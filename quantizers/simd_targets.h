// The instruction sets that the kernels may run on, for tests and benchmarks that try each of them.
#ifndef VERNIER_QUANTIZERS_SIMD_TARGETS_H_
#define VERNIER_QUANTIZERS_SIMD_TARGETS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vernier::quantizers {

// Highway's identifiers of the targets that are compiled in, the best first.
std::vector<int64_t> CompiledSimdTargets();

// Those of them that this processor has; kernels run on the first.
std::vector<int64_t> SimdTargets();

// "AVX3" (AVX-512), "AVX2", "NEON" or "SCALAR".
std::string SimdTargetName(int64_t target);

// While it lives, kernels run on `target`, one of SimdTargets(). It changes what the whole process
// runs: at most one at a time, and no kernel in flight when it comes or goes.
class ForcedSimdTarget {
 public:
  explicit ForcedSimdTarget(int64_t target);
  ~ForcedSimdTarget();
  ForcedSimdTarget(const ForcedSimdTarget&) = delete;
  ForcedSimdTarget& operator=(const ForcedSimdTarget&) = delete;
};

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_SIMD_TARGETS_H_
