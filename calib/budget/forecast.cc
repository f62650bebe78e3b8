// Times computed from sizes: matrix products and bytes moved.
#include "calib/budget/forecast.h"

#include <algorithm>

#include "base/thread_count.h"
#include "calib/statistics/registry.h"
#include "checkpoint/read_speed.h"
#include "recipes/plan_summary.h"
#include "run/kept_statistics.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelDims;
using checkpoint::ModelLayout;
using checkpoint::Role;
using checkpoint::SourceModel;

constexpr uint64_t kStoreBaseBytes = 128 * 1024;
constexpr uint64_t kStoreModuleBytes = 256;

struct Parameters {
  double dense = 0;
  double experts = 0;
};

// Of linear layers that one token meets, on average over routing.
Parameters ActiveParameters(const SourceModel& source, bool all_experts) {
  const ModelDims dims = source.family->Dims();
  double routed_share = 0;
  if (dims.experts > 0) {
    routed_share = static_cast<double>(dims.experts_per_token) / static_cast<double>(dims.experts);
  }
  // Experts that only observe compute in addition to the chosen ones.
  if (all_experts) routed_share += 1;
  Parameters active;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (!weight.linear || weight.layer < 0 || weight.role == Role::kMtp) continue;
    const double elements =
        static_cast<double>(weight.rows()) * static_cast<double>(weight.columns());
    if (weight.role == Role::kRoutedExpert) {
      active.experts += routed_share * elements;
    } else {
      active.dense += elements;
    }
  }
  return active;
}

// Scores and weighted sums of one token in all layers: 2 products of head_dim per head and key, a
// multiply-add counted twice.
double AttentionFlopsPerToken(const ModelDims& dims, int64_t length) {
  int64_t keys = dims.max_keys == 0 ? length : std::min(dims.max_keys, length);
  if (dims.key_compression > 0) keys += length / dims.key_compression;
  return 4.0 * static_cast<double>(dims.layers * dims.attention_heads * dims.head_dim) *
         static_cast<double>(keys);
}

double Tokens(const Workload& workload) {
  return static_cast<double>(workload.samples) * static_cast<double>(workload.sequence_length);
}

double SolveSeconds(const SourceModel& source, const Workload& workload,
                    const ComputeSpeed& speed) {
  const SolvingSizes& solving = workload.solving;
  if (solving.solve_flops == 0 && solving.search_flops == 0) return 0;
  const ModelDims dims = source.family->Dims();
  double share = dims.experts == 0 || workload.all_experts ? 1 : 0;
  if (share == 0) {
    share = static_cast<double>(dims.experts_per_token) / static_cast<double>(dims.experts);
  }
  const double host_flops = UsualSpeed("cpu", ComputeThreadCount(0)).compute.dense_flops;
  const auto known = [&](double flops) {
    return flops > 0 ? flops : std::min(host_flops, speed.dense_flops);
  };
  return Tokens(workload) * (solving.dense_flops + share * solving.expert_flops) /
             speed.dense_flops +
         solving.solve_flops / known(speed.solve_flops) +
         solving.search_flops / known(speed.search_flops);
}

double ComputeSeconds(const SourceModel& source, const Workload& workload,
                      const ComputeSpeed& speed) {
  const TokenFlops token = ForwardFlops(source, workload);
  const double once =
      Tokens(workload) * (token.dense / speed.dense_flops + token.experts / speed.expert_flops);
  return static_cast<double>(workload.layer_runs) * once + SolveSeconds(source, workload, speed);
}

// What calibration keeps of the inputs of linear layers beside small numbers.
uint64_t SumBytes(const ModelLayout& layout, const recipes::Plan& plan) {
  uint64_t bytes = 0;
  for (const std::string& module : plan.observed_modules) {
    const LogicalWeight* weight = layout.FindModule(module);
    if (weight == nullptr) continue;
    for (const statistics::Statistic& statistic : statistics::AllStatistics()) {
      if (statistics::IsTransient(statistic.purpose)) continue;
      if (!statistic.is_sum || !run::KeepsStatistic(statistic, layout, plan, module)) continue;
      bytes += statistic.PayloadBytes(static_cast<size_t>(weight->columns()));
    }
  }
  return bytes;
}

// Of `bytes` of the source.
double ReadSeconds(double bytes, const MachineSpeed& speed) {
  constexpr double kCacheBytesPerSecond = 1.5e10;
  return bytes * ((1 - speed.cached_share) / speed.bytes_per_second +
                  speed.cached_share / kCacheBytesPerSecond);
}

// Until a device has its first layer: it is made ready, and memory for weights is pinned.
double StartSeconds(const SourceModel& source, const MachineSpeed& speed) {
  constexpr double kPinnedBytesPerSecond = 4e9;  // seen on an H200's host, beside other work
  if (speed.start_seconds == 0) return 0;
  return speed.start_seconds + static_cast<double>(WeightRingBytes(source)) / kPinnedBytesPerSecond;
}

}  // namespace

TokenFlops ForwardFlops(const SourceModel& source, const Workload& workload) {
  const Parameters active = ActiveParameters(source, workload.all_experts);
  return {.dense = 2 * active.dense +
                   AttentionFlopsPerToken(source.family->Dims(), workload.sequence_length),
          .experts = 2 * active.experts};
}

MachineSpeed UsualSpeed(std::string_view device, int threads) {
  constexpr double kThreadFlops = 5e10;
  const double flops = kThreadFlops * threads;
  if (device == "cpu")
    return {.compute = {.dense_flops = flops, .expert_flops = flops}, .bytes_per_second = 1e9};
  // Of solving seen on an H200 with 16 cores beside it.
  return {.compute = {.dense_flops = 3e14,
                      .expert_flops = 3e14,
                      .solve_flops = 8e12,
                      .search_flops = 3e12},
          .bytes_per_second = 2e9,
          .start_seconds = 0.5};
}

MachineSpeed UsualSpeed(const SourceModel& source, std::string_view device, int threads) {
  MachineSpeed speed = UsualSpeed(device, threads);
  speed.cached_share = checkpoint::CachedShare(source.checkpoint);
  return speed;
}

TimeForecast ForecastTime(const SourceModel& source, const Workload& workload,
                          const recipes::Plan& plan, const MachineSpeed& speed) {
  const recipes::DataPasses passes = recipes::CountPasses(source, plan);
  const auto source_bytes = static_cast<double>(passes.quantisation);
  const auto output_bytes = static_cast<double>(plan.OutputFileBytes());
  TimeForecast forecast;
  if (!plan.observed_modules.empty()) {
    // Weights are read while earlier ones compute, so the slower of the two counts. Hidden states
    // are written beside the work, or once a minute.
    forecast.calibrate_seconds =
        StartSeconds(source, speed) +
        std::max(ComputeSeconds(source, workload, speed.compute),
                 ReadSeconds(static_cast<double>(passes.calibration), speed));
  }
  forecast.export_seconds =
      ReadSeconds(source_bytes, speed) + output_bytes / speed.bytes_per_second;
  forecast.validate_seconds = forecast.export_seconds;
  return forecast;
}

DiskNeeds ForecastDisk(const SourceModel& source, const recipes::Plan& plan,
                       const CalibrationBudget& budget) {
  DiskNeeds needs;
  needs.output = plan.OutputFileBytes();
  if (plan.observed_modules.empty()) return needs;
  needs.activations = 2 * budget.checkpoint_bytes;
  needs.layer = budget.layer_bytes;
  needs.store = kStoreBaseBytes + kStoreModuleBytes * plan.observed_modules.size() +
                SumBytes(source.layout, plan) + MeasureSolving(source.layout, plan).codes;
  return needs;
}

}  // namespace vernier::calib
