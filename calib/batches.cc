#include "calib/batches.h"

#include <algorithm>
#include <cassert>
#include <span>

namespace vernier::calib {

Batches::Batches(const datasets::CalibrationSet& tokens, int64_t batch_size, at::Device device)
    : tokens_(&tokens), batch_size_(batch_size), device_(device) {
  assert(batch_size_ > 0);
}

Batch Batches::At(int64_t first) const {
  return {first, std::min(batch_size_, tokens_->samples - first)};
}

std::vector<Batch> Batches::All() const {
  std::vector<Batch> all;
  for (int64_t first = 0; first < samples(); first = all.back().end()) all.push_back(At(first));
  return all;
}

TokenBatch Batches::Tokens(const Batch& batch) const {
  const int64_t length = tokens_->sequence_length;
  at::Tensor ids = at::empty({batch.count, length}, at::kLong);
  std::copy_n(tokens_->ids.begin() + batch.first * length, batch.count * length,
              ids.data_ptr<int64_t>());

  TokenBatch made;
  made.ids = ids.to(device_);
  const auto lengths =
      std::span(tokens_->lengths)
          .subspan(static_cast<size_t>(batch.first), static_cast<size_t>(batch.count));
  made.lengths.assign(lengths.begin(), lengths.end());
  if (std::ranges::any_of(lengths, [&](int32_t real) { return real < length; })) {
    const at::Tensor real_lengths = at::empty({batch.count, 1}, at::kLong);
    std::ranges::copy(lengths, real_lengths.data_ptr<int64_t>());
    made.real = at::arange(length).unsqueeze(0).lt(real_lengths).to(device_);
  }
  return made;
}

at::Tensor Batches::SamplesOfTokens(const Batch& batch) const {
  std::vector<at::Tensor> samples;
  for (int64_t sample = batch.first; sample < batch.end(); ++sample) {
    samples.push_back(at::full({tokens_->lengths[static_cast<size_t>(sample)]}, sample, at::kLong));
  }
  return at::cat(samples);
}

}  // namespace vernier::calib
