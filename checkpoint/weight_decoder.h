// The values of logical weights from the bytes of their tensors, however those were read.
#ifndef VERNIER_CHECKPOINT_WEIGHT_DECODER_H_
#define VERNIER_CHECKPOINT_WEIGHT_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// Rows here are rows of weight.shape: shape[0] of them, each of the product of the remaining
// extents in columns (a 1-D tensor has rows of one element, a scalar is one row).
int64_t ColumnsPerRow(const LogicalWeight& weight);

// Bytes [begin, end) within one tensor.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t size() const { return end - begin; }
};

// The bytes of weight.main, and of weight.scale, that rows [row_begin, row_begin + row_count) need.
// ScaleRange is empty for formats without block scales; a scale of the whole tensor is a block
// scale of one element, and needed by every row.
ByteRange MainRange(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t row_begin,
                    int64_t row_count);
ByteRange ScaleRange(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t row_begin,
                     int64_t row_count);

// NVFP4's global scale as a multiplier (1 / divisor where the format stores a divisor); 1.0 for
// formats without one. kBadWeightValue for 0, NaN, infinity and a divisor without a reciprocal.
float ReadGlobalScale(const Checkpoint& checkpoint, const LogicalWeight& weight);

// The static scale of its inputs, as a multiplier; 1.0 for a weight without one. Errors as above.
float ReadInputScale(const Checkpoint& checkpoint, const LogicalWeight& weight);

// Some rows of a weight. main and scale are exactly the bytes of MainRange and ScaleRange, at any
// alignment; global_scale is ReadGlobalScale's.
struct RawRows {
  int64_t row_begin = 0;
  int64_t row_count = 0;
  std::span<const std::byte> main;
  std::span<const std::byte> scale;
  float global_scale = 1;
};

// Rows [row_begin, row_begin + row_count) out of `rows`, which holds them.
RawRows SubRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& rows,
                int64_t row_begin, int64_t row_count);

// Whether every value is a BF16 number exactly, by format and dtypes alone: BF16, MXFP4, and FP8
// with E8M0 scales. (FP8 values below 2^-133 under a scale below 2^-124 still round.)
bool ExactInBf16(const Checkpoint& checkpoint, const LogicalWeight& weight);

// Dequantises rows to `out` [row_count * ColumnsPerRow], row-major: as F32, in the arithmetic of
// quantizers/, or that rounded to BF16 (nearest even). A BF16 source comes out as it is.
// kBadWeightValue names the tensor and the index of the first element, of scale or weight, that is
// NaN or infinite or (BF16) too large; kWrongDtype for what is not read. Thread-safe; reads nothing
// from `checkpoint` but headers and the zero points of asymmetric INT4; memory beside `out` is that
// of one row or 16 K values, whichever is more, and of these zero points.
void DecodeRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
                std::span<float> out);
void DecodeRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
                std::span<uint16_t> bf16_out);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_WEIGHT_DECODER_H_
