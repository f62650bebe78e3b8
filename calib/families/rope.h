// Rotary position embedding: pairs of a head's channels turn with the position.
#ifndef VERNIER_CALIB_FAMILIES_ROPE_H_
#define VERNIER_CALIB_FAMILIES_ROPE_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "checkpoint/families/rope_config.h"

namespace vernier::calib {

// Which channels of the rd that are rotated make a pair.
enum class RopePairs {
  kNeighbours,  // 2 i and 2 i + 1
  kHalves,      // i and i + rd / 2
};

// Where the channels stand that are rotated; the others pass.
enum class RopePlace { kFirst, kLast };

// Rotations for a row of positions, F32.
struct RopeTable {
  at::Tensor cos;  // [P, rd / 2]
  at::Tensor sin;  // [P, rd / 2]

  // Positions begin, begin + step, ... below end.
  RopeTable Slice(int64_t begin, int64_t end, int64_t step = 1) const;
  // The rotation by the opposite angles.
  RopeTable Inverse() const;
};

// The angle per position of each pair of `rope_dim` channels, F32 [rope_dim / 2] on the host.
// kLlama3: Llama 3.1's ramp between two wavelengths. kYarn: arXiv 2309.00071, with a ramp over the
// channels. kLong: arXiv 2402.13753, `far`: for a sequence beyond the original positions.
at::Tensor RopeFrequencies(const checkpoint::RopeConfig& config, int64_t rope_dim,
                           bool far = false);

// Rotations for positions [begin, end), on `device`; cos and sin are multiplied by `factor`
// (RopeConfig::attention_factor).
RopeTable MakeRopeTable(const at::Tensor& frequencies, int64_t begin, int64_t end,
                        at::Device device, double factor = 1.0);

// Rotates the last or the first rd channels of x [..., P, d] or, with `per_head`, of
// x [..., P, h, d].
at::Tensor Rotate(const at::Tensor& x, const RopeTable& table, bool per_head,
                  RopePairs pairs = RopePairs::kNeighbours, RopePlace place = RopePlace::kLast);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_ROPE_H_
