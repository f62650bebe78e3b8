// Times computed from sizes: matrix products and bytes moved.
#include <algorithm>

#include "recipes/budget.h"
#include "recipes/plan_summary.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelDims;
using checkpoint::Role;
using checkpoint::SourceModel;

// Parameters of linear layers that one token meets, on average over routing.
double ActiveParameters(const SourceModel& source, bool all_experts) {
  const ModelDims dims = source.family->Dims();
  double routed_share = 0;
  if (dims.experts > 0) {
    routed_share = static_cast<double>(dims.experts_per_token) / static_cast<double>(dims.experts);
  }
  // Experts that only observe compute in addition to the chosen ones.
  if (all_experts) routed_share += 1;
  double active = 0;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (!weight.linear || weight.layer < 0 || weight.role == Role::kMtp) continue;
    const double elements =
        static_cast<double>(weight.rows()) * static_cast<double>(weight.columns());
    active += weight.role == Role::kRoutedExpert ? routed_share * elements : elements;
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

double CalibrationFlops(const SourceModel& source, const Recipe& recipe) {
  const datasets::CalibrationSpec& data = recipe.calibration.data;
  const double tokens =
      static_cast<double>(data.samples) * static_cast<double>(data.sequence_length);
  return tokens * (2.0 * ActiveParameters(source, recipe.calibration.all_experts) +
                   AttentionFlopsPerToken(source.family->Dims(), data.sequence_length));
}

// Activation checkpoints: written after the embedding and after every layer.
double CheckpointBytesWritten(const SourceModel& source, const Recipe& recipe) {
  const ModelDims dims = source.family->Dims();
  const datasets::CalibrationSpec& data = recipe.calibration.data;
  const double element = recipe.calibration.dtype == ComputeDtype::kBFloat16 ? 2 : 4;
  return static_cast<double>(dims.layers + 1) * static_cast<double>(data.samples) *
         static_cast<double>(data.sequence_length) *
         static_cast<double>(dims.residual_streams * dims.hidden_size) * element;
}

}  // namespace

TimeForecast ForecastTime(const SourceModel& source, const Recipe& recipe, const Plan& plan,
                          const MachineSpeed& speed) {
  const DataPasses passes = CountPasses(source, plan);
  const auto source_bytes = static_cast<double>(passes.quantisation);
  const auto output_bytes = static_cast<double>(plan.OutputFileBytes());
  TimeForecast forecast;
  if (!plan.observed_modules.empty()) {
    // Weights are read while earlier ones compute, so the slower of the two counts.
    forecast.calibrate_seconds =
        std::max(CalibrationFlops(source, recipe) / speed.flops,
                 static_cast<double>(passes.calibration) / speed.bytes_per_second) +
        CheckpointBytesWritten(source, recipe) / speed.bytes_per_second;
  }
  forecast.export_seconds = (source_bytes + output_bytes) / speed.bytes_per_second;
  forecast.validate_seconds = (source_bytes + output_bytes) / speed.bytes_per_second;
  return forecast;
}

}  // namespace vernier::recipes
