// How far a run of values is from another: the inner loops of comparing a weight with its source.
#ifndef VERNIER_AUDIT_WEIGHT_DIFFERENCE_H_
#define VERNIER_AUDIT_WEIGHT_DIFFERENCE_H_

#include <cstdint>
#include <span>

namespace vernier::audit {

struct Difference {
  double squared_error = 0;   // sum (a - b)^2
  double squared_source = 0;  // sum b^2
  double max_abs_error = 0;
};

// Of values a against expected values b, as many of each, all finite. Element i is added to column
// i % 16 of F64 sums, which are then added in order: the same numbers on every processor. The
// squared error is 0 only if all values are equal.
Difference DifferenceOf(std::span<const float> values, std::span<const float> expected);

// What the blocks of an NVFP4 weight cannot hold of its source.
struct BlockLoss {
  int64_t saturated = 0;    // values beyond 6 * (block scale * global scale)
  int64_t clipped = 0;      // those among them in blocks of the largest scale, 448
  int64_t zero_blocks = 0;  // blocks of the source that are all zero
};

// expected [16 * scales.size()]; scales: E4M3 codes. A NaN scale saturates nothing.
BlockLoss BlockLossOf(std::span<const float> expected, std::span<const uint8_t> scales,
                      float global_scale);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_WEIGHT_DIFFERENCE_H_
