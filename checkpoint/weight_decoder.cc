#include "checkpoint/weight_decoder.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/rounding.h"
#include "checkpoint/value_checks.h"
#include "checkpoint/weight_format.h"
#include "quantizers/bf16.h"
#include "quantizers/float_formats.h"
#include "quantizers/fp8.h"
#include "quantizers/int4.h"
#include "quantizers/mxfp4.h"
#include "quantizers/mxfp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

// Values decoded at once, so that they are checked while in cache; at least one row.
constexpr int64_t kTileElements = int64_t{1} << 14;

// Products up to here are finite in F32 and after rounding to BF16.
constexpr float kSafeMagnitude = 0x1p127f;

std::span<const uint8_t> AsCodes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

// Element `index` of an array at any alignment.
template <typename T>
T Load(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

float LoadFloat(DType dtype, std::span<const std::byte> bytes, size_t index) {
  switch (dtype) {
    case DType::kF32:
      return Load<float>(bytes, index);
    case DType::kBF16:
      return quantizers::Bf16ToFloat(Load<uint16_t>(bytes, index));
    case DType::kF16:
      return quantizers::F16ToFloat(Load<uint16_t>(bytes, index));
    default:
      assert(dtype == DType::kF8E8M0 || dtype == DType::kU8);
      return quantizers::E8m0ToFloat(Load<uint8_t>(bytes, index));
  }
}

// Decodes to T: float, or uint16_t for BF16.
template <typename T>
class RowDecoder {
 public:
  RowDecoder(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
             std::span<T> out)
      : checkpoint_(checkpoint),
        weight_(weight),
        raw_(raw),
        out_(out),
        columns_(ColumnsPerRow(weight)) {}

  void Decode() {
    switch (weight_.format) {
      case WeightFormat::kPlain:
        return DecodePlain();
      case WeightFormat::kFp8Tensor:
      case WeightFormat::kFp8Channel:
      case WeightFormat::kFp8Block:
        return ForEachTile([this](const Tile& tile) { DecodeFp8(tile); });
      case WeightFormat::kMxfp8:
        return ForEachTile([this](const Tile& tile) { DecodeMxfp8(tile); });
      case WeightFormat::kMxfp4:
        return ForEachTile([this](const Tile& tile) { DecodeMxfp4(tile); });
      case WeightFormat::kNvfp4:
      case WeightFormat::kNvfp4Wide:
        return ForEachTile([this](const Tile& tile) { DecodeNvfp4(tile); });
      case WeightFormat::kInt4:
        return ForEachTile([this](const Tile& tile) { DecodeInt4(tile); });
      case WeightFormat::kInt4Zero:
        return DecodeInt4Zero();
      case WeightFormat::kInt4Rows:
        return DecodeInt4Rows();
      default:
        break;
    }
    throw Error(
        ErrorCode::kWrongDtype, weight_.name,
        "holds " + checkpoint_.tensor(weight_.main).info.dtype_name + " values that are no weights",
        "Copy this tensor instead of converting it");
  }

 private:
  struct Tile {
    int64_t row = 0;    // in the weight
    int64_t first = 0;  // element in the weight
    std::span<const uint8_t> main;
    std::span<T> out;
  };

  DType TypeOf(size_t tensor) const { return checkpoint_.tensor(tensor).info.dtype; }

  // Calls decode for runs of whole rows.
  template <typename DecodeTile>
  void ForEachTile(DecodeTile decode) {
    if (out_.empty()) return;
    const int64_t step = std::max<int64_t>(1, kTileElements / columns_);
    const size_t row_bytes = raw_.main.size() / static_cast<size_t>(raw_.row_count);
    for (int64_t done = 0; done < raw_.row_count; done += step) {
      const auto rows = static_cast<size_t>(std::min(step, raw_.row_count - done));
      const auto before = static_cast<size_t>(done);
      const auto width = static_cast<size_t>(columns_);
      decode(Tile{raw_.row_begin + done, (raw_.row_begin + done) * columns_,
                  AsCodes(raw_.main).subspan(before * row_bytes, rows * row_bytes),
                  out_.subspan(before * width, rows * width)});
    }
  }

  void RefuseBadValues(int64_t first, std::span<const T> values) const {
    RefuseNonFinite(checkpoint_, weight_.main, first, values);
  }

  void DecodePlain() {
    const int64_t first = raw_.row_begin * columns_;
    for (size_t done = 0; done < out_.size(); done += kTileElements) {
      const std::span<T> out =
          out_.subspan(done, std::min<size_t>(kTileElements, out_.size() - done));
      Convert(done, out);
      RefuseBadValues(first + static_cast<int64_t>(done), out);
    }
  }

  // Elements [begin, begin + out.size()) of plain bytes.
  void Convert(size_t begin, std::span<T> out) {
    const DType dtype = TypeOf(weight_.main);
    if (dtype == (std::is_same_v<T, float> ? DType::kF32 : DType::kBF16)) {
      std::memcpy(out.data(), raw_.main.data() + begin * sizeof(T), out.size_bytes());
      return;
    }
    if constexpr (std::is_same_v<T, float>) {
      const std::span<const uint16_t> halves = Aligned(begin, out.size(), &halves_);
      if (dtype == DType::kBF16) return quantizers::Bf16ToFloat(halves, out);
      quantizers::F16ToFloat(halves, out);
    } else {
      if (dtype == DType::kF32) {
        return quantizers::FloatToBf16(Aligned(begin, out.size(), &floats_), out);
      }
      floats_.resize(out.size());
      quantizers::F16ToFloat(Aligned(begin, out.size(), &halves_), floats_);
      quantizers::FloatToBf16(floats_, out);
    }
  }

  // `count` elements of raw_.main where they lie, or copied when V may not lie there.
  template <typename V>
  std::span<const V> Aligned(size_t begin, size_t count, std::vector<V>* copy) const {
    const std::byte* source = raw_.main.data() + begin * sizeof(V);
    if (reinterpret_cast<uintptr_t>(source) % alignof(V) == 0) {
      return {reinterpret_cast<const V*>(source), count};
    }
    copy->resize(count);
    std::memcpy(copy->data(), source, count * sizeof(V));
    return *copy;
  }

  int64_t ScalesPerBlockRow() const { return CeilDivide(columns_, weight_.block_columns); }

  // Index in scale bytes, and in the scale tensor, of the scales of a block row.
  size_t ScaleOffset(int64_t block_row) const {
    return static_cast<size_t>((block_row - raw_.row_begin / weight_.block_rows) *
                               ScalesPerBlockRow());
  }

  // Fills scales_ with [rows][scales of a row] for the tile's rows, and refuses NaN and infinity.
  void ExpandScales(const Tile& tile) {
    const int64_t per_row = ScalesPerBlockRow();
    const auto width = static_cast<size_t>(per_row);
    const size_t rows = tile.out.size() / static_cast<size_t>(columns_);
    const DType dtype = TypeOf(weight_.scale);
    scales_.resize(rows * width);
    for (size_t i = 0; i < rows; ++i) {
      const int64_t row = tile.row + static_cast<int64_t>(i);
      const std::span<float> scales = std::span(scales_).subspan(i * width, width);
      if (i > 0 && row % weight_.block_rows != 0) {
        std::copy_n(scales_.begin() + static_cast<ptrdiff_t>((i - 1) * width), width,
                    scales.begin());
        continue;
      }
      const int64_t block_row = row / weight_.block_rows;
      const size_t offset = ScaleOffset(block_row);
      for (size_t k = 0; k < width; ++k) scales[k] = LoadFloat(dtype, raw_.scale, offset + k);
      RefuseNonFinite(checkpoint_, weight_.scale, block_row * per_row, scales);
    }
  }

  // Values up to `largest_code` times a scale of scales_ need no check when no scale is huge.
  void CheckProducts(const Tile& tile, float largest_code) const {
    float largest = 0;
    for (const float scale : scales_) largest = std::max(largest, std::fabs(scale));
    if (largest > kSafeMagnitude / largest_code) RefuseBadValues(tile.first, tile.out);
  }

  void DecodeFp8(const Tile& tile) {
    ExpandScales(tile);
    RefuseE4m3Nan(checkpoint_, weight_.main, tile.first, tile.main);
    quantizers::DequantizeFp8Rows(tile.main, columns_, weight_.block_columns, scales_, tile.out);
    CheckProducts(tile, quantizers::kE4m3Max);
  }

  // One byte of scale per block of columns, in rows of their own.
  std::span<const uint8_t> ScaleCodes(const Tile& tile) const {
    const size_t rows = tile.out.size() / static_cast<size_t>(columns_);
    return AsCodes(raw_.scale)
        .subspan(ScaleOffset(tile.row), rows * static_cast<size_t>(ScalesPerBlockRow()));
  }

  std::span<const uint8_t> CheckedE8m0(const Tile& tile) const {
    const std::span<const uint8_t> scales = ScaleCodes(tile);
    RefuseE8m0Nan(checkpoint_, weight_.scale, tile.row * ScalesPerBlockRow(), scales);
    return scales;
  }

  void CheckProducts(const Tile& tile, std::span<const uint8_t> e8m0, int largest_exponent) const {
    const uint8_t largest = *std::max_element(e8m0.begin(), e8m0.end());
    if (largest - quantizers::kE8m0Bias > largest_exponent) RefuseBadValues(tile.first, tile.out);
  }

  void DecodeMxfp8(const Tile& tile) {
    const std::span<const uint8_t> scales = CheckedE8m0(tile);
    RefuseE4m3Nan(checkpoint_, weight_.main, tile.first, tile.main);
    quantizers::DequantizeMxfp8(tile.main, scales, columns_, tile.out);
    CheckProducts(tile, scales, /*largest_exponent=*/118);  // 448 < 2^9
  }

  void DecodeMxfp4(const Tile& tile) {
    const std::span<const uint8_t> scales = CheckedE8m0(tile);
    quantizers::DequantizeMxfp4(tile.main, scales, columns_, tile.out);
    CheckProducts(tile, scales, /*largest_exponent=*/124);  // 6 < 2^3
  }

  // A scale for each block of 16 columns, whatever number of them shares one in the source.
  std::span<const uint8_t> Nvfp4Scales(std::span<const uint8_t> stored) {
    const auto repeats = static_cast<size_t>(weight_.block_columns / quantizers::kNvfp4BlockSize);
    if (repeats == 1) return stored;
    codes_.clear();
    for (const uint8_t scale : stored) codes_.insert(codes_.end(), repeats, scale);
    return codes_;
  }

  void DecodeNvfp4(const Tile& tile) {
    constexpr float kLargest = quantizers::kE2m1Max * quantizers::kE4m3Max;
    const std::span<const uint8_t> scales = ScaleCodes(tile);
    RefuseE4m3Nan(checkpoint_, weight_.scale, tile.row * ScalesPerBlockRow(), scales);
    quantizers::DequantizeNvfp4(tile.main, Nvfp4Scales(scales), columns_, raw_.global_scale,
                                tile.out);
    const bool safe = std::fabs(raw_.global_scale) <= kSafeMagnitude / kLargest;
    if (!safe) RefuseBadValues(tile.first, tile.out);
  }

  void DecodeInt4(const Tile& tile) {
    constexpr float kLargest = 8;
    ExpandScales(tile);
    quantizers::DequantizeInt4(tile.main, scales_, columns_, weight_.block_columns, tile.out);
    CheckProducts(tile, kLargest);
  }

  static void Store(float value, T* out) {
    if constexpr (std::is_same_v<T, float>) {
      *out = value;
    } else {
      *out = quantizers::FloatToBf16(value);
    }
  }

  // Rows of integers, one by one: nibble(row, column, group of columns) is an integer, and each
  // group has a scale.
  template <typename Nibble>
  void ForEachRow(Nibble nibble) {
    constexpr float kLargest = 15;
    const auto width = static_cast<size_t>(columns_);
    for (int64_t i = 0; i < raw_.row_count; ++i) {
      const int64_t row = raw_.row_begin + i;
      const Tile tile = {
          row, row * columns_, {}, out_.subspan(static_cast<size_t>(i) * width, width)};
      ExpandScales(tile);
      for (size_t column = 0; column < width; ++column) {
        const size_t group = column / static_cast<size_t>(weight_.block_columns);
        const int code = nibble(row, static_cast<int64_t>(column), static_cast<int64_t>(group));
        Store(static_cast<float>(code) * scales_[group], &tile.out[column]);
      }
      CheckProducts(tile, kLargest);
    }
  }

  // (code - zero point) * scale; both are packed with a bias that cancels (compressed-tensors'
  // pack-quantized): codes eight a word along a row, zero points along a column.
  void DecodeInt4Zero() {
    const std::span<const uint8_t> codes = AsCodes(raw_.main);
    const std::vector<uint32_t> zeros = ReadZeroPoints();
    const int64_t groups = columns_ / weight_.block_columns;
    ForEachRow([&](int64_t row, int64_t column, int64_t group) {
      const int64_t element = (row - raw_.row_begin) * columns_ + column;
      const uint32_t word = zeros[static_cast<size_t>(row / kInt4PerWord * groups + group)];
      const auto zero = static_cast<int>((word >> (4 * (row % kInt4PerWord))) & 0xF);
      return Nibble(codes[static_cast<size_t>(element / 2)], element % 2) - zero;
    });
  }

  std::vector<uint32_t> ReadZeroPoints() const {
    std::vector<uint32_t> words(checkpoint_.tensor(weight_.zero_point).info.Bytes() /
                                sizeof(uint32_t));
    checkpoint_.Read(weight_.zero_point, 0, std::as_writable_bytes(std::span(words)));
    return words;
  }

  // code * scale, code -8..7 in two's complement; the even one of two rows in the low nibble
  // (ModelOpt's pack_int4_in_uint8).
  void DecodeInt4Rows() {
    const std::span<const uint8_t> codes = AsCodes(raw_.main);
    const int64_t first = raw_.row_begin / 2;
    ForEachRow([&](int64_t row, int64_t column, int64_t /*group*/) {
      const auto byte = codes[static_cast<size_t>((row / 2 - first) * columns_ + column)];
      const int code = Nibble(byte, row % 2);
      return code < 8 ? code : code - 16;
    });
  }

  static int Nibble(uint8_t byte, int64_t which) { return which == 0 ? byte & 0xF : byte >> 4; }

  const Checkpoint& checkpoint_;
  const LogicalWeight& weight_;
  const RawRows& raw_;
  std::span<T> out_;
  int64_t columns_;
  std::vector<float> scales_;
  std::vector<uint8_t> codes_;
  std::vector<float> floats_;
  std::vector<uint16_t> halves_;
};

template <typename T>
void DecodeTo(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
              std::span<T> out) {
  assert(raw.row_begin >= 0 && raw.row_count >= 0 &&
         raw.row_begin + raw.row_count <= weight.rows());
  assert(out.size() == static_cast<size_t>(raw.row_count * ColumnsPerRow(weight)));
  assert(raw.main.size() == MainRange(checkpoint, weight, raw.row_begin, raw.row_count).size());
  assert(raw.scale.size() == ScaleRange(checkpoint, weight, raw.row_begin, raw.row_count).size());
  RowDecoder<T>(checkpoint, weight, raw, out).Decode();
}

}  // namespace

void DecodeRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
                std::span<float> out) {
  DecodeTo(checkpoint, weight, raw, out);
}

void DecodeRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
                std::span<uint16_t> bf16_out) {
  DecodeTo(checkpoint, weight, raw, bf16_out);
}

}  // namespace vernier::checkpoint
