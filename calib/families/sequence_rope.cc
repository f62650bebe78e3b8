#include "calib/families/sequence_rope.h"

#include <algorithm>

namespace vernier::calib {

at::Tensor BatchRotation::Rotate(const at::Tensor& x, int64_t begin, RopePairs pairs) const {
  const int64_t end = begin + x.size(1);
  const auto rotate = [&](const at::Tensor& heads, const RopeTable& table) {
    return calib::Rotate(heads, table.Slice(begin, end), /*per_head=*/true, pairs,
                         RopePlace::kFirst);
  };
  if (std::ranges::find(is_far_, true) == is_far_.end()) return rotate(x, near_);
  if (std::ranges::find(is_far_, false) == is_far_.end()) return rotate(x, far_);
  std::vector<at::Tensor> sequences;
  for (size_t i = 0; i < is_far_.size(); ++i) {
    sequences.push_back(rotate(x.narrow(0, static_cast<int64_t>(i), 1), is_far_[i] ? far_ : near_));
  }
  return at::cat(sequences);
}

SequenceRope::SequenceRope(const checkpoint::RopeConfig& config, int64_t head_dim)
    : factor_(config.attention_factor),
      original_positions_(config.original_positions),
      near_(RopeFrequencies(config, config.RotaryDim(head_dim))) {
  if (config.type == checkpoint::RopeType::kLong) {
    far_ = RopeFrequencies(config, config.RotaryDim(head_dim), /*far=*/true);
  }
}

BatchRotation SequenceRope::For(const TokenBatch& batch, int64_t sequences, int64_t first,
                                int64_t length, at::Device device) const {
  const auto table = [&](const at::Tensor& frequencies) {
    return MakeRopeTable(frequencies, first, first + length, device, factor_);
  };
  if (!far_.defined()) return {table(near_), {}, {}};
  std::vector<bool> is_far;
  for (int64_t i = 0; i < sequences; ++i) {
    const int64_t added = batch.lengths.empty() ? length : batch.lengths[static_cast<size_t>(i)];
    is_far.push_back(static_cast<double>(first + added) > original_positions_);
  }
  return {table(near_), table(far_), std::move(is_far)};
}

}  // namespace vernier::calib
