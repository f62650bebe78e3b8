// Dequantises rows of logical weights from a checkpoint.
#ifndef VERNIER_CHECKPOINT_WEIGHT_READER_H_
#define VERNIER_CHECKPOINT_WEIGHT_READER_H_

#include <cstdint>
#include <span>

#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// Thread-safe: holds no state but references. `weight` must be kPlain, kFp8Block, kMxfp4 or kNvfp4.
// A tensor that is not 2-D counts as rows() = shape[0] rows of the remaining elements (a 1-D tensor
// as rows of one element).
class WeightReader {
 public:
  explicit WeightReader(const Checkpoint& checkpoint) : checkpoint_(&checkpoint) {}

  // Writes rows [row_begin, row_begin + row_count) as F32 to `out` (row-major), exactly: every
  // source format's values are F32 numbers. kBadWeightValue names the tensor and index of the first
  // NaN or Inf among codes or scales.
  void ReadF32(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
               std::span<float> out) const;

  // The same rounded to BF16 (nearest even); exact for every FP8 x 2^e and MXFP4 source.
  void ReadBf16(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                std::span<uint16_t> out) const;

 private:
  const Checkpoint* checkpoint_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_WEIGHT_READER_H_
