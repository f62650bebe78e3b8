// MXFP8: E4M3 codes and one E8M0 scale per 32 columns.
//   value = E4M3(code) * 2^(e8m0 - 127)
// Scales and codes are those of ModelOpt (mxfp8_tensor.py).
#ifndef VERNIER_QUANTIZERS_MXFP8_H_
#define VERNIER_QUANTIZERS_MXFP8_H_

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

inline constexpr int64_t kMxfp8BlockSize = 32;

// Quantises rows of `columns` values (row-major; columns % 32 == 0).
//   codes [rows * columns]: round to nearest even; the sign of zero is kept
//   e8m0  [rows * columns / 32]: 127 + ceil(log2(amax / 448)), exactly, at least 0; a block of
//     zeros gets 0
// Inf and NaN are a programming error (callers check sources), but even then no NaN is written:
// their codes saturate and the scale byte is at most 247.
void QuantizeMxfp8(RealSpan values, int64_t columns, std::span<uint8_t> codes,
                   std::span<uint8_t> e8m0);

// Inverse of the storage format, for the same shapes; as BF16 the F32 product is rounded to nearest
// even. A NaN code or scale gives NaN values.
void DequantizeMxfp8(std::span<const uint8_t> codes, std::span<const uint8_t> e8m0, int64_t columns,
                     MutableRealSpan values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_MXFP8_H_
