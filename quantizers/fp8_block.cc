#include "quantizers/fp8_block.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {

void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, std::span<float> values) {
  assert(columns > 0 && block_columns > 0);
  assert(codes.size() == values.size() && codes.size() % static_cast<size_t>(columns) == 0);
  const auto width = static_cast<size_t>(columns);
  const auto block_width = static_cast<size_t>(block_columns);
  const size_t rows = codes.size() / width;
  const size_t blocks = (width + block_width - 1) / block_width;
  assert(row_scales.size() == rows * blocks);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t block = 0; block < blocks; ++block) {
      const float scale = row_scales[row * blocks + block];
      const size_t begin = row * width + block * block_width;
      const size_t end = row * width + std::min(width, (block + 1) * block_width);
      for (size_t i = begin; i < end; ++i) values[i] = E4m3ToFloat(codes[i]) * scale;
    }
  }
}

}  // namespace vernier::quantizers
