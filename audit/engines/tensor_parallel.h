// Whether weights and their scales can be cut for several devices.
#ifndef VERNIER_AUDIT_ENGINES_TENSOR_PARALLEL_H_
#define VERNIER_AUDIT_ENGINES_TENSOR_PARALLEL_H_

#include <array>
#include <vector>

#include "audit/engines/runtime_module.h"
#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

inline constexpr std::array<int, 4> kTensorParallelSizes = {1, 2, 4, 8};

// Projections into heads, experts' widths and the vocabulary are cut by rows, those back by columns
// (Megatron's scheme, which all engines use); low-rank projections, routers and indexers are kept
// whole. A part must hold whole heads and scale blocks, and an expert's gate and up rows together a
// multiple of 128, which CUTLASS's kernels demand (vLLM: "Intermediate size padding ..."). Returns
// a verdict for each of kTensorParallelSizes; problems at `size` are findings (V11).
std::vector<TensorParallelVerdict> CheckTensorParallel(const Subject& subject,
                                                       const std::vector<RuntimeModule>& modules,
                                                       int size, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_TENSOR_PARALLEL_H_
