// Rotary position embedding of DeepSeek-V4: the last channels of a head, neighbours paired.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROPE_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROPE_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

// Rotations for a row of positions, F32.
struct RopeTable {
  at::Tensor cos;  // [P, rd / 2]
  at::Tensor sin;  // [P, rd / 2]

  // Positions begin, begin + step, ... below end.
  RopeTable Slice(int64_t begin, int64_t end, int64_t step = 1) const;
  // The rotation by the opposite angles.
  RopeTable Inverse() const;
};

// The frequencies of one layer, F32 [rd / 2] on the host. A layer without compression uses
// rope_theta alone; the others compress_rope_theta with YaRN (arXiv 2309.00071, with the correction
// range rounded outwards and no scaling of cos and sin, as in DeepSeek-V4's released code).
at::Tensor RopeFrequencies(const checkpoint::DeepseekV4Config& config, int64_t compress_ratio);

// Rotations for positions [0, positions), on `device`.
RopeTable MakeRopeTable(const at::Tensor& frequencies, int64_t positions, at::Device device);

// Rotates the last rd channels of x [..., P, d] or, with `per_head`, of x [..., P, h, d].
at::Tensor Rotate(const at::Tensor& x, const RopeTable& table, bool per_head);

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROPE_H_
