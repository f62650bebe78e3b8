// Rotary embedding of the sequences of a batch, each with the frequencies that its length asks for.
#ifndef VERNIER_CALIB_FAMILIES_SEQUENCE_ROPE_H_
#define VERNIER_CALIB_FAMILIES_SEQUENCE_ROPE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/families/rope.h"
#include "checkpoint/families/rope_config.h"

namespace vernier::calib {

// Rotations of a range of positions.
class BatchRotation {
 public:
  // `far`: those of the sequences for which `is_far` [B] holds; undefined where there are none.
  BatchRotation(RopeTable near, RopeTable far, std::vector<bool> is_far)
      : near_(std::move(near)), far_(std::move(far)), is_far_(std::move(is_far)) {}

  // Heads x [B, P, h, d] of the positions from `begin` of the range on: their first channels
  // rotated.
  at::Tensor Rotate(const at::Tensor& x, int64_t begin, RopePairs pairs) const;

 private:
  RopeTable near_, far_;
  std::vector<bool> is_far_;
};

class SequenceRope {
 public:
  SequenceRope(const checkpoint::RopeConfig& config, int64_t head_dim);

  // Of the next `length` positions of sequences that have `first`; a sequence is as long as they
  // and what `batch` adds to them, so that its rotations do not depend on which others come with
  // it.
  BatchRotation For(const TokenBatch& batch, int64_t sequences, int64_t first, int64_t length,
                    at::Device device) const;

 private:
  double factor_, original_positions_;
  at::Tensor near_, far_;  // far_: undefined where the length decides nothing
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_SEQUENCE_ROPE_H_
