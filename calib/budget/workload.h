// What a loop over a model's layers is asked to do and on what: all that its budget depends on
// beside the model and the machine.
#ifndef VERNIER_CALIB_BUDGET_WORKLOAD_H_
#define VERNIER_CALIB_BUDGET_WORKLOAD_H_

#include <cstdint>
#include <string>

#include "base/memory_bound.h"
#include "calib/budget/solving.h"
#include "checkpoint/model_layout.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::calib {

// The machine's part in a computation, as asked for.
struct ComputeSpec {
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N"
  recipes::ComputeDtype dtype = recipes::ComputeDtype::kBFloat16;
  int64_t batch_size = 0;  // sequences at a time; 0: the largest that fits, at most 8, on a GPU 32
  MemoryBound device_memory = {};  // for all there is on the device; usually 80 % of the free
  MemoryBound host_memory = {};    // for hidden states on the host; usually half of the free
  int threads = 0;                 // 0: one a processor
  recipes::CpuProducts cpu_products = recipes::CpuProducts::kF32;  // kAuto: room for kF32
};

// The sequences that run through the layers, and what exists beside the loop.
struct Workload {
  int64_t samples = 1;          // sequences, at least one
  int64_t sequence_length = 1;  // tokens of each, at least one
  bool all_experts = false;     // every expert observes every token, beside what it computes
  uint64_t held_bytes = 0;      // somebody else's meanwhile, where hidden states in memory are
  int64_t hidden_copies = 1;    // hidden states of all samples that exist at once
  int64_t layer_runs = 1;       // how often the sequences run through each layer
  int64_t model_copies = 1;     // models of which weights and a batch exist at once
  SolvingSizes solving = {};    // of weights that are solved meanwhile
};

// Those of a calibration by `recipe`.
ComputeSpec ComputeOf(const recipes::Recipe& recipe);
Workload WorkloadOf(const recipes::Recipe& recipe, const checkpoint::ModelLayout& layout,
                    const recipes::Plan& plan);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_WORKLOAD_H_
