#include "calib/budget/workload.h"

namespace vernier::calib {

ComputeSpec ComputeOf(const recipes::Recipe& recipe) {
  return {.device = recipe.compute.device,
          .dtype = recipe.calibration.dtype,
          .batch_size = recipe.calibration.batch_size,
          .device_memory = recipe.compute.device_memory,
          .host_memory = recipe.compute.host_memory,
          .threads = recipe.compute.threads,
          .cpu_products = recipe.compute.cpu_products};
}

Workload WorkloadOf(const recipes::Recipe& recipe, const checkpoint::ModelLayout& layout,
                    const recipes::Plan& plan) {
  return {.samples = recipe.calibration.data.samples,
          .sequence_length = recipe.calibration.data.sequence_length,
          .all_experts = recipe.calibration.all_experts,
          .hidden_copies = plan.propagates ? 2 : 1,
          .layer_runs = plan.propagates ? 2 : 1,
          .solving = MeasureSolving(layout, plan)};
}

}  // namespace vernier::calib
