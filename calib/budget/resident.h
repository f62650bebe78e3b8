// Whether a model can stay on the device as a whole, for sequences that grow token by token
// (calib/resident_model.h).
#ifndef VERNIER_CALIB_BUDGET_RESIDENT_H_
#define VERNIER_CALIB_BUDGET_RESIDENT_H_

#include <cstdint>
#include <optional>

#include "calib/budget/budget.h"
#include "calib/budget/workload.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

struct ResidentBudget {
  int64_t query_chunk = 256;  // as in run::LoopSizes

  uint64_t weight_bytes = 0;  // all layers with their experts, and the head, in the compute dtype
  uint64_t cache_bytes = 0;   // what attention keeps of all sequences at their final length
  // Temporaries of a prompt or a step, at most: all that the layer loop needs for a prompt, one
  // layer's weights included.
  uint64_t batch_bytes = 0;

  uint64_t Bytes() const { return weight_bytes + cache_bytes + batch_bytes; }
};

// For workload.samples sequences that grow to workload.sequence_length tokens: each comes alone
// first, then `batch_size` of them go on by a token at once. Nothing if that does not fit what
// PlanBudget has for weights and batches; its errors.
std::optional<ResidentBudget> PlanResident(const checkpoint::SourceModel& source,
                                           const ComputeSpec& compute, const Workload& workload,
                                           int64_t batch_size, const MachineMemory& machine);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_RESIDENT_H_
