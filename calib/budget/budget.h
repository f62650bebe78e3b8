// Sizes of the layer loop's working set, and its forecast of memory. The loop runs with exactly
// these sizes, so the forecast is about what really happens.
#ifndef VERNIER_CALIB_BUDGET_BUDGET_H_
#define VERNIER_CALIB_BUDGET_BUDGET_H_

#include <cstdint>
#include <optional>

#include "calib/budget/workload.h"
#include "checkpoint/source_model.h"
#include "run/loop_sizes.h"

namespace vernier::calib {

// Memory of the machine, read once by the caller (in tests: chosen).
struct MachineMemory {
  uint64_t host_available = 0;    // bytes
  uint64_t device_available = 0;  // bytes; equals host_available for "cpu"
};

struct CalibrationBudget {
  int64_t batch_size = 1;  // as in run::LoopSizes
  int64_t query_chunk = 256;
  int64_t experts_per_group = 0;  // routed experts on the device at once; 0 for dense models
  bool spill_hidden = false;      // hidden states live in files instead of memory
  bool hidden_on_device = false;  // in memory of the device, where that is not the host

  // Bytes of each part of the working set, for the plan's printout.
  uint64_t dense_layer_bytes = 0;  // the largest layer without routed experts, in compute dtype
  uint64_t expert_bytes = 0;       // one routed expert, in compute dtype
  uint64_t batch_bytes = 0;        // temporaries of one batch before the routed experts
  uint64_t hidden_bytes = 0;  // all samples at one layer boundary, with FFN inputs, sums, routing
  uint64_t checkpoint_bytes = 0;  // one activation checkpoint on disk
  uint64_t layer_bytes = 0;       // files of an unfinished layer, at most (calib/layer_state.h)
  // The program, libtorch, the headers of all tensors, and what malloc keeps of freed blocks.
  uint64_t process_bytes = 0;
  // The working set at its largest, without process_bytes. With process_bytes: what the operating
  // system counts as the process's largest resident size.
  uint64_t host_peak = 0;
  uint64_t device_peak = 0;  // equals the device's share of host_peak on "cpu"
  // What there is for weights and batches on the device, of which device_peak is a part.
  uint64_t device_limit = 0;
};

// A weight as it is loaded, with `element` bytes of the compute dtype: F32 parameters and integer
// tables are not cast to it.
uint64_t LoadedBytes(const checkpoint::SourceModel& source, const checkpoint::LogicalWeight& weight,
                     uint64_t element);

// Host memory of what was read on its way to a device: as much as a disk gives while a layer
// computes, but no more than a layer has.
uint64_t WeightRingBytes(const checkpoint::SourceModel& source);

// kBudgetTooSmall when one expert, the densest layer and one sequence (with `kept`: its batch) do
// not fit the device's memory. A batch size that `compute` gives comes before the kept one.
CalibrationBudget PlanBudget(const checkpoint::SourceModel& source, const ComputeSpec& compute,
                             const Workload& workload, const MachineMemory& machine,
                             const std::optional<run::LoopSizes>& kept = {});

// Device memory for another attempt where that of `failed` was not there after all: what is usual
// of the free memory, and at most three quarters of what was too much, so that attempts end.
MemoryBound LessDeviceMemory(const CalibrationBudget& failed, const MachineMemory& machine);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_BUDGET_H_
