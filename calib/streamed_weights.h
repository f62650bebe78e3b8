// Weights of decoder layers that are read ahead and decoded on a device.
#ifndef VERNIER_CALIB_STREAMED_WEIGHTS_H_
#define VERNIER_CALIB_STREAMED_WEIGHTS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "calib/device_decoder.h"
#include "calib/weight_stream.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// What is loaded next, in this order: with `dense`, all of `layer` but its routed experts; then its
// `experts`; then all of `next_layer` but its routed experts.
struct UpcomingWeights {
  int64_t layer = 0;
  bool dense = false;
  std::vector<int64_t> experts = {};
  std::optional<int64_t> next_layer = {};
};

// For one thread.
class StreamedWeights {
 public:
  // Both must outlive it. A ring of 0 bytes: of WeightRingBytes.
  StreamedWeights(const checkpoint::SourceModel& source, checkpoint::ReadObserver* observer,
                  at::Device device, const WeightStreamOptions& options);

  // Its weights, but for those in formats that the device does not decode.
  std::vector<const checkpoint::LogicalWeight*> InOrder(const UpcomingWeights& next) const;
  // Some of these will be taken from now on. Of what was expected before, only that is kept.
  void Expect(const std::vector<const checkpoint::LogicalWeight*>& weights) {
    stream_.Expect(weights);
  }
  bool Expects(const checkpoint::LogicalWeight& weight) const { return stream_.Expects(weight); }

  // The values of an expected weight, as `dtype`. Those that are not finite show in TakeBad.
  at::Tensor Take(const checkpoint::LogicalWeight& weight, at::ScalarType dtype);

  // Of what was taken since the last call, the first weight with a value that DecodeRows refuses in
  // the dtype it was taken in; null: there is none. Waits for the device.
  const checkpoint::LogicalWeight* TakeBad();

 private:
  void AddDense(int64_t layer, std::vector<const checkpoint::LogicalWeight*>& weights) const;
  void AddExperts(int64_t layer, const std::vector<int64_t>& experts,
                  std::vector<const checkpoint::LogicalWeight*>& weights) const;

  const checkpoint::SourceModel& source_;
  DeviceDecoder decoder_;
  WeightStream stream_;
  std::vector<std::pair<const checkpoint::LogicalWeight*, at::Tensor>> unchecked_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_STREAMED_WEIGHTS_H_
