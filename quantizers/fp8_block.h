// FP8 E4M3 weights with one scale per block of rows x columns (128 x 128 in released checkpoints).
#ifndef VERNIER_QUANTIZERS_FP8_BLOCK_H_
#define VERNIER_QUANTIZERS_FP8_BLOCK_H_

#include <cstdint>
#include <span>

namespace vernier::quantizers {

// Dequantises whole rows of a row-major matrix: value = E4M3(code) * scale of its column block.
//   codes      [rows * columns]
//   row_scales [rows][ceil(columns / block_columns)] as F32, already expanded to these rows
//   values     [rows * columns]
// The last column block may be partial. A NaN code or scale gives NaN values.
void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, std::span<float> values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_FP8_BLOCK_H_
