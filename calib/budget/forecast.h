// How long a plan takes and how much of a disk it fills.
#ifndef VERNIER_CALIB_BUDGET_FORECAST_H_
#define VERNIER_CALIB_BUDGET_FORECAST_H_

#include <cstdint>
#include <string_view>

#include "calib/budget/budget.h"
#include "calib/budget/workload.h"
#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::calib {

// Multiply-adds of matrix products, counted twice, that one token costs in all layers: those of
// routed experts on average over routing.
struct TokenFlops {
  double dense = 0;  // attention scores included
  double experts = 0;
};
TokenFlops ForwardFlops(const checkpoint::SourceModel& source, const Workload& workload);

// FLOPs of products per second: in the time of all that a layer's dense part computes, and of
// routed experts.
struct ComputeSpeed {
  double dense_flops = 0;
  double expert_flops = 0;
  // Of weights that calibration solves, and of searches for scales; 0: as the CPU's dense ones.
  double solve_flops = 0;
  double search_flops = 0;
};

// Speeds measured or assumed for a forecast.
struct MachineSpeed {
  ComputeSpeed compute;
  double bytes_per_second = 0;  // reading a source, writing a shard
  double cached_share = 0;      // of the source, in the page cache
  double start_seconds = 0;     // until a device computes, beside the memory for weights
};
// What `device` ("cpu", "cuda:N") does if nothing was measured: of a CPU, what `threads` of AVX2 do
// and a disk; of a GPU, what layers in BF16 reach on the cards of a data centre, beside a disk of
// such a machine.
MachineSpeed UsualSpeed(std::string_view device, int threads);
// The same, with what of `source` is in the page cache now. Errors: kFileOpen.
MachineSpeed UsualSpeed(const checkpoint::SourceModel& source, std::string_view device,
                        int threads);

struct TimeForecast {
  double calibrate_seconds = 0;
  double export_seconds = 0;
  double validate_seconds = 0;
};
TimeForecast ForecastTime(const checkpoint::SourceModel& source, const Workload& workload,
                          const recipes::Plan& plan, const MachineSpeed& speed);

struct DiskNeeds {
  uint64_t output = 0;       // shards
  uint64_t activations = 0;  // the old and the new activation checkpoint
  uint64_t layer = 0;        // what is saved of an unfinished layer, at most
  uint64_t store = 0;        // estimate

  uint64_t RunDirectory() const { return activations + layer + store; }
};
DiskNeeds ForecastDisk(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                       const CalibrationBudget& budget);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_FORECAST_H_
