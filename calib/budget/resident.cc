#include "calib/budget/resident.h"

#include <algorithm>
#include <vector>

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelDims;
using checkpoint::Role;
using checkpoint::SourceModel;

constexpr uint64_t kCacheBytes = 4;  // of a value: F32
constexpr uint64_t kLogitBytes = 4;

// The head is the embedding where the checkpoint has no other. Rows of an embedding are read as
// they are needed.
bool StaysOnDevice(const LogicalWeight& weight, bool has_head) {
  if (weight.role == Role::kEmbedding) return !has_head;
  return weight.role != Role::kTower && weight.role != Role::kMtp && weight.role != Role::kOther;
}

uint64_t WeightBytes(const SourceModel& source, recipes::ComputeDtype dtype) {
  const uint64_t element = dtype == recipes::ComputeDtype::kBFloat16 ? 2 : 4;
  const std::vector<LogicalWeight>& weights = source.layout.weights;
  const bool has_head =
      std::ranges::find(weights, Role::kLmHead, &LogicalWeight::role) != weights.end();
  uint64_t bytes = 0;
  for (const LogicalWeight& weight : weights) {
    if (StaysOnDevice(weight, has_head)) bytes += LoadedBytes(source, weight, element);
  }
  return bytes;
}

// A key and a value of each head: what the families' attentions keep of a token, or more.
uint64_t CacheBytes(const ModelDims& dims, const Workload& workload) {
  const auto values = static_cast<uint64_t>(2 * dims.key_value_heads * dims.head_dim);
  const auto tokens = static_cast<uint64_t>(workload.samples * workload.sequence_length);
  return static_cast<uint64_t>(dims.layers) * tokens * values * kCacheBytes;
}

}  // namespace

std::optional<ResidentBudget> PlanResident(const SourceModel& source, const ComputeSpec& compute,
                                           const Workload& workload, int64_t batch_size,
                                           const MachineMemory& machine) {
  // A step has no more tokens than this.
  const Workload prompt = {.samples = 1,
                           .sequence_length = std::max(workload.sequence_length, batch_size)};
  const CalibrationBudget loop = PlanBudget(source, compute, prompt, machine);
  const ModelDims dims = source.family->Dims();
  const ResidentBudget budget = {
      .query_chunk = loop.query_chunk,
      .weight_bytes = WeightBytes(source, compute.dtype),
      .cache_bytes = CacheBytes(dims, workload),
      .batch_bytes =
          loop.device_peak + static_cast<uint64_t>(batch_size * dims.vocab_size) * kLogitBytes};
  if (budget.Bytes() > loop.device_limit) return std::nullopt;
  return budget;
}

}  // namespace vernier::calib
