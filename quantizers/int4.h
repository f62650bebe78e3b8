// Symmetric INT4 in groups of columns, with a BF16 scale per group.
//   value = code * scale, code -8..7
// Scales, rounding and bytes follow compressed-tensors' pack-quantized format.
#ifndef VERNIER_QUANTIZERS_INT4_H_
#define VERNIER_QUANTIZERS_INT4_H_

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

inline constexpr int64_t kInt4GroupSize = 128;

// Quantises rows of `columns` values (row-major; columns % 8 == 0, group % 8 == 0). The last group
// of a row may be shorter.
//   bf16_scales [rows][ceil(columns / group)]: amax / 7.5 rounded to BF16, at least 2^-126; 1 for a
//     group of zeros. An Inf or NaN counts as the largest finite F32: every scale is finite.
//   packed [rows * columns / 2]: clamp(round(value / scale), -8, 7) + 8, two per byte, even column
//     in the low nibble; eight columns are one little-endian int32 of `weight_packed`. IEEE
//     division by the rounded scale, ties to even. Inf and NaN saturate with their sign.
void QuantizeInt4(RealSpan values, int64_t columns, int64_t group, std::span<uint8_t> packed,
                  std::span<uint16_t> bf16_scales);

// Inverse of the storage format, for the same shapes, with the scales as F32; as BF16 the F32
// product is rounded to nearest even.
void DequantizeInt4(std::span<const uint8_t> packed, std::span<const float> scales, int64_t columns,
                    int64_t group, MutableRealSpan values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_INT4_H_
