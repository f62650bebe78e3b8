// Reads and dequantises rows of logical weights from a checkpoint.
#ifndef VERNIER_CHECKPOINT_WEIGHT_READER_H_
#define VERNIER_CHECKPOINT_WEIGHT_READER_H_

#include <cstdint>
#include <span>

#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/read_observer.h"

namespace vernier::checkpoint {

// Thread-safe: holds no state but references. Rows, rounding and errors are those of DecodeRows
// (weight_decoder.h); this reads the bytes as well, a mebibyte or one row at a time. An observer is
// given the digests of the tensors of weights that are read whole, and what was clamped.
class WeightReader {
 public:
  explicit WeightReader(const Checkpoint& checkpoint, ReadOptions options = {})
      : checkpoint_(&checkpoint), options_(options) {}

  // Writes rows [row_begin, row_begin + row_count) as F32 to `out` (row-major).
  void ReadF32(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
               std::span<float> out) const;

  // The same as BF16; exact where ExactInBf16 says so.
  void ReadBf16(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                std::span<uint16_t> out) const;

 private:
  const Checkpoint* checkpoint_;
  ReadOptions options_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_WEIGHT_READER_H_
