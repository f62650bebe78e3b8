#include "calib/streamed_weights.h"

#include <algorithm>
#include <cmath>

#include "calib/budget/budget.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;

WeightStreamOptions WithRing(const checkpoint::SourceModel& source, WeightStreamOptions options) {
  if (options.ring_bytes == 0) options.ring_bytes = WeightRingBytes(source);
  return options;
}

}  // namespace

StreamedWeights::StreamedWeights(const checkpoint::SourceModel& source,
                                 checkpoint::ReadObserver* observer, at::Device device,
                                 const WeightStreamOptions& options)
    : source_(source),
      decoder_(source.checkpoint, device),
      stream_(source.checkpoint, observer, device, WithRing(source, options)) {}

std::vector<const LogicalWeight*> StreamedWeights::InOrder(const UpcomingWeights& next) const {
  std::vector<const LogicalWeight*> weights;
  if (next.dense) AddDense(next.layer, weights);
  AddExperts(next.layer, next.experts, weights);
  if (next.next_layer) AddDense(*next.next_layer, weights);
  return weights;
}

// In the order in which they are stored.
void StreamedWeights::AddDense(int64_t layer, std::vector<const LogicalWeight*>& weights) const {
  const auto first = static_cast<std::ptrdiff_t>(weights.size());
  for (const LogicalWeight& weight : source_.layout.weights) {
    if (weight.layer != layer || weight.role == Role::kRoutedExpert) continue;
    if (weight.role != Role::kMtp && decoder_.Knows(weight)) weights.push_back(&weight);
  }
  std::sort(weights.begin() + first, weights.end(),
            [](const LogicalWeight* a, const LogicalWeight* b) { return a->main < b->main; });
}

// By expert, in the order of `experts`, which ascends.
void StreamedWeights::AddExperts(int64_t layer, const std::vector<int64_t>& experts,
                                 std::vector<const LogicalWeight*>& weights) const {
  const auto first = static_cast<std::ptrdiff_t>(weights.size());
  for (const LogicalWeight& weight : source_.layout.weights) {
    if (weight.layer != layer || weight.role != Role::kRoutedExpert) continue;
    if (!decoder_.Knows(weight)) continue;
    if (std::ranges::binary_search(experts, int64_t{weight.expert})) weights.push_back(&weight);
  }
  std::stable_sort(weights.begin() + first, weights.end(),
                   [](const LogicalWeight* a, const LogicalWeight* b) {
                     return std::pair(a->expert, a->main) < std::pair(b->expert, b->main);
                   });
}

at::Tensor StreamedWeights::Take(const LogicalWeight& weight, at::ScalarType dtype) {
  DecodedWeight decoded = decoder_.Decode(weight, stream_.Take(weight), dtype);
  unchecked_.emplace_back(&weight, decoded.largest.reshape({1}));
  return std::move(decoded.values);
}

const LogicalWeight* StreamedWeights::TakeBad() {
  const auto taken = std::exchange(unchecked_, {});
  if (taken.empty()) return nullptr;
  std::vector<at::Tensor> largest;
  for (const auto& [weight, magnitude] : taken) largest.push_back(magnitude);
  const at::Tensor magnitudes = at::cat(largest).to(at::kCPU, at::kFloat);
  for (size_t i = 0; i < taken.size(); ++i) {
    if (!std::isfinite(magnitudes.data_ptr<float>()[i])) return taken[i].first;
  }
  return nullptr;
}

}  // namespace vernier::calib
