// What codecs decode with: rows in cache-sized tiles, their scales, and the checks of both.
#ifndef VERNIER_CHECKPOINT_FORMATS_DECODE_TILES_H_
#define VERNIER_CHECKPOINT_FORMATS_DECODE_TILES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "base/rounding.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/value_checks.h"
#include "checkpoint/weight_decoder.h"
#include "quantizers/float_formats.h"

namespace vernier::checkpoint {

// Values decoded at once, so that they are checked while in cache; at least one row.
inline constexpr int64_t kTileElements = int64_t{1} << 14;

// Products up to here are finite in F32 and after rounding to BF16.
inline constexpr float kSafeMagnitude = 0x1p127f;

inline std::span<const uint8_t> AsCodes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

// Element `index` of an array of F32, BF16, F16 or E8M0 at any alignment.
float LoadFloat(DType dtype, std::span<const std::byte> bytes, size_t index);

// Codec::exact_in_bf16 of formats whose values all are.
bool AlwaysExactInBf16(const Checkpoint& checkpoint, const LogicalWeight& weight);

// Rows of codes and where their values go.
template <typename Real>
struct DecodeTile {
  int64_t row = 0;    // in the weight
  int64_t first = 0;  // element in the weight
  std::span<const uint8_t> main;
  std::span<Real> out;
};

// Of some rows of a weight, decoded to Real: float, or uint16_t for BF16. Errors are
// kBadWeightValue with the tensor and the element.
template <typename Real>
class TileDecoder {
 public:
  using Tile = DecodeTile<Real>;

  TileDecoder(const StoredRows& rows, std::span<Real> out)
      : rows_(rows), out_(out), columns_(ColumnsPerRow(rows.weight)) {}

  const Checkpoint& checkpoint() const { return rows_.checkpoint; }
  const LogicalWeight& weight() const { return rows_.weight; }
  const RawRows& raw() const { return rows_.raw; }
  int64_t columns() const { return columns_; }
  std::span<Real> out() const { return out_; }
  DType TypeOf(size_t tensor) const { return rows_.checkpoint.tensor(tensor).info.dtype; }

  // Calls decode(tile) for runs of whole rows.
  template <typename Decode>
  void ForEachTile(Decode decode) {
    if (out_.empty()) return;
    const int64_t step = std::max<int64_t>(1, kTileElements / columns_);
    const size_t row_bytes = raw().main.size() / static_cast<size_t>(raw().row_count);
    for (int64_t done = 0; done < raw().row_count; done += step) {
      const auto rows = static_cast<size_t>(std::min(step, raw().row_count - done));
      const auto before = static_cast<size_t>(done);
      const auto width = static_cast<size_t>(columns_);
      decode(Tile{raw().row_begin + done, (raw().row_begin + done) * columns_,
                  AsCodes(raw().main).subspan(before * row_bytes, rows * row_bytes),
                  out_.subspan(before * width, rows * width)});
    }
  }

  void RefuseBadValues(int64_t first, std::span<const Real> values) const {
    RefuseNonFinite(checkpoint(), weight().main, first, values);
  }

  int64_t ScalesPerBlockRow() const { return CeilDivide(columns_, weight().block_columns); }

  // Numbers [rows][scales of a row] for the tile's rows, until the next call. NaN and infinity are
  // refused.
  std::span<const float> Scales(const Tile& tile) {
    const int64_t per_row = ScalesPerBlockRow();
    const auto width = static_cast<size_t>(per_row);
    const size_t rows = tile.out.size() / static_cast<size_t>(columns_);
    const DType dtype = TypeOf(weight().scale);
    scales_.resize(rows * width);
    for (size_t i = 0; i < rows; ++i) {
      const int64_t row = tile.row + static_cast<int64_t>(i);
      const std::span<float> scales = std::span(scales_).subspan(i * width, width);
      if (i > 0 && row % weight().block_rows != 0) {
        std::copy_n(scales_.begin() + static_cast<ptrdiff_t>((i - 1) * width), width,
                    scales.begin());
        continue;
      }
      const int64_t block_row = row / weight().block_rows;
      const size_t offset = ScaleOffset(block_row);
      for (size_t k = 0; k < width; ++k) scales[k] = LoadFloat(dtype, raw().scale, offset + k);
      RefuseNonFinite(checkpoint(), weight().scale, block_row * per_row,
                      std::span<const float>(scales));
    }
    return scales_;
  }

  // Values up to `largest_code` times one of `scales` need no check when no scale is huge.
  void CheckProducts(const Tile& tile, std::span<const float> scales, float largest_code) const {
    float largest = 0;
    for (const float scale : scales) largest = std::max(largest, std::fabs(scale));
    if (largest > kSafeMagnitude / largest_code) RefuseBadValues(tile.first, tile.out);
  }

  // One byte of scale per block of columns, in rows of their own.
  std::span<const uint8_t> ScaleCodes(const Tile& tile) const {
    const size_t rows = tile.out.size() / static_cast<size_t>(columns_);
    return AsCodes(raw().scale)
        .subspan(ScaleOffset(tile.row), rows * static_cast<size_t>(ScalesPerBlockRow()));
  }

  std::span<const uint8_t> CheckedE8m0(const Tile& tile) const {
    const std::span<const uint8_t> scales = ScaleCodes(tile);
    RefuseE8m0Nan(checkpoint(), weight().scale, tile.row * ScalesPerBlockRow(), scales);
    return scales;
  }

  // The same for powers of two: none may be above 2^largest_exponent unchecked.
  void CheckProducts(const Tile& tile, std::span<const uint8_t> e8m0, int largest_exponent) const {
    const uint8_t largest = *std::max_element(e8m0.begin(), e8m0.end());
    if (largest - quantizers::kE8m0Bias > largest_exponent) RefuseBadValues(tile.first, tile.out);
  }

 private:
  // Index in scale bytes of the scales of a block row.
  size_t ScaleOffset(int64_t block_row) const {
    return static_cast<size_t>((block_row - raw().row_begin / weight().block_rows) *
                               ScalesPerBlockRow());
  }

  const StoredRows& rows_;
  std::span<Real> out_;
  int64_t columns_;
  std::vector<float> scales_;
};

// Calls decode(decoder, tile) for runs of whole rows, whichever type `out` has.
template <typename Decode>
void DecodeTiles(const StoredRows& rows, quantizers::MutableRealSpan out, Decode decode) {
  std::visit(
      [&]<typename Real>(std::span<Real> reals) {
        TileDecoder<Real> decoder(rows, reals);
        decoder.ForEachTile([&](const DecodeTile<Real>& tile) { decode(decoder, tile); });
      },
      out);
}

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_DECODE_TILES_H_
