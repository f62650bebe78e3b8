// FP8 E4M3 weights: one F32 scale per tensor, or one per block of rows x columns (128 x 128 in
// released checkpoints).
//   value = E4M3(code) * scale
#ifndef VERNIER_QUANTIZERS_FP8_H_
#define VERNIER_QUANTIZERS_FP8_H_

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

// No scale below this is ever made, so that amax / scale cannot overflow.
inline constexpr float kFp8MinScale = 0x1p-126f;

// amax / 448 in F32 (ModelOpt quant_utils.py), at least kFp8MinScale; 1 when amax is 0. `amax` must
// be finite and >= 0.
float Fp8Scale(float amax);

// codes[i] = E4M3(clamp(values[i] / scale, +-448)): IEEE division, then round to nearest even.
// The sign of zero is kept. Inf and NaN saturate to +-448, so no NaN code is ever written.
// `scale` must be finite and >= kFp8MinScale. ModelOpt rounds the quotient of a BF16 weight to BF16
// before it rounds to E4M3, to another value on a GPU than on a CPU; here it is rounded once.
void QuantizeFp8(RealSpan values, float scale, std::span<uint8_t> codes);

enum class Fp8ScaleKind {
  kF32,   // Fp8Scale of the block's amax
  kBf16,  // that rounded to BF16, before values are divided by it
  kE8m0,  // 2^ceil(log2(amax / 448)), exactly: the least power of two under which nothing saturates
          // (DeepSeek's "ue8m0" scales); 1 when amax is 0, at least kFp8MinScale
};

// Quantises a row-major matrix of rows x columns values by blocks.
//   codes  [rows * columns]
//   scales [ceil(rows / block_rows)][ceil(columns / block_columns)]
// The last block of a row or column may be partial. In amax an Inf or NaN counts as the largest
// finite F32: every scale is finite.
void QuantizeFp8Blocks(RealSpan values, int64_t columns, int64_t block_rows, int64_t block_columns,
                       Fp8ScaleKind scale_kind, std::span<uint8_t> codes, std::span<float> scales);

// Dequantises whole rows of a row-major matrix: value = E4M3(code) * scale of its column block.
//   codes      [rows * columns]
//   row_scales [rows][ceil(columns / block_columns)] as F32, already expanded to these rows
//   values     [rows * columns]; as BF16 the F32 product is rounded to nearest even
// The last column block may be partial. A NaN code or scale gives NaN values.
void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, MutableRealSpan values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_FP8_H_
