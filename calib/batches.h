// Cuts the calibration samples into batches.
#ifndef VERNIER_CALIB_BATCHES_H_
#define VERNIER_CALIB_BATCHES_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/sample_buffer.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

// Samples [first, first + count).
struct Batch {
  int64_t first = 0;
  int64_t count = 0;

  int64_t end() const { return first + count; }
  // Their numbers: I64, on the host.
  at::Tensor Samples() const { return at::arange(first, end()); }
};

class Batches {
 public:
  // `tokens` must outlive it. `batch_size` > 0.
  Batches(const datasets::CalibrationSet& tokens, int64_t batch_size, at::Device device);

  int64_t samples() const { return tokens_->samples; }
  int64_t length() const { return tokens_->sequence_length; }
  at::Device device() const { return device_; }

  // The batch that begins with sample `first`.
  Batch At(int64_t first) const;
  // All of them, in order.
  std::vector<Batch> All() const;

  TokenBatch Tokens(const Batch& batch) const;
  // The sample of every token of the batch that is no padding: I64, on the host.
  at::Tensor SamplesOfTokens(const Batch& batch) const;

  // The batch's part of a buffer [count, ...] on the device.
  at::Tensor Get(const SampleBuffer& buffer, const Batch& batch) const {
    return buffer.Get(batch.first, batch.count).to(device_);
  }

 private:
  const datasets::CalibrationSet* tokens_;
  int64_t batch_size_;
  at::Device device_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BATCHES_H_
