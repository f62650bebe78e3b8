// 4-bit integers with float scales per group of columns, in three packings.
#include "quantizers/int4.h"

#include <array>
#include <concepts>
#include <vector>

#include "base/rounding.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/decode_tiles.h"
#include "checkpoint/formats/int4_words.h"
#include "checkpoint/formats/part_resolver.h"
#include "checkpoint/formats/stored_group.h"

namespace vernier::checkpoint {
namespace {

constexpr std::array kInt4Methods = {ScaleMethod::kAuto, ScaleMethod::kMax};
constexpr int64_t kRowsPerByte = 2;

// Words that hold eight; what says nothing of itself counts as such.
bool IsInt4Words(const StoredGroup& group) {
  return group.IsOf({DType::kI32}) && group.Has(Part::kPackedWeight) &&
         group.IntegersPerWord().value_or(kInt4PerWord) >= kInt4PerWord;
}

bool IsInt4(const StoredGroup& group) { return IsInt4Words(group) && !group.Has(Part::kZeroPoint); }

bool IsInt4Zero(const StoredGroup& group) {
  return IsInt4Words(group) && group.Has(Part::kZeroPoint);
}

// Each byte holds an element of two neighbouring rows, so that the scales have twice its rows.
bool IsInt4Rows(const StoredGroup& group) {
  if (!group.IsOf({DType::kU8, DType::kF4}) || group.HasGlobalScale()) return false;
  if (!group.Has(Part::kWeightScale) || !IsFloat(group.scale()->dtype)) return false;
  return group.IsMatrix() && group.scale()->shape.size() == 2 &&
         group.scale()->shape[0] == kRowsPerByte * group.main.shape[0];
}

void ResolveInt4(PartResolver& resolver) {
  const size_t scale = resolver.RequireScale(".weight_scale");
  if (!resolver.group.Has(Part::kPackedShape)) {
    resolver.FailMissing(ErrorCode::kMissingTensor, ".weight_shape");
  }
  resolver.checks.RequireMatrix(resolver.weight.main);
  resolver.checks.RequireDtype(resolver.weight.main, {DType::kI32});
  resolver.checks.RequireDtype(scale, {DType::kBF16, DType::kF16, DType::kF32});
  resolver.SetShapeOfWords();
  resolver.SetGroups(scale, kInt4PerWord);
}

// Zero points have the packing of the codes, along the rows.
void ResolveInt4Zero(PartResolver& resolver) {
  ResolveInt4(resolver);
  LogicalWeight& weight = resolver.weight;
  weight.zero_point = resolver.group[Part::kZeroPoint];
  resolver.checks.RequireDtype(weight.zero_point, {DType::kI32});
  resolver.checks.RequireShape(weight.zero_point, {CeilDivide(weight.rows(), kInt4PerWord),
                                                   weight.columns() / weight.block_columns});
}

void ResolveInt4Rows(PartResolver& resolver) {
  const size_t scale = resolver.RequireScale(".weight_scale");
  resolver.DoubleRows();
  resolver.checks.RequireDtype(resolver.weight.main, {DType::kU8});
  resolver.checks.RequireDtype(scale, {DType::kBF16, DType::kF16, DType::kF32});
  resolver.SetGroups(scale, 1);
  resolver.SetInputScale({DType::kF32});
}

void DecodeInt4(const StoredRows& rows, quantizers::MutableRealSpan out) {
  constexpr float kLargest = 8;
  DecodeTiles(rows, out, [&](auto& decoder, const auto& tile) {
    const std::span<const float> scales = decoder.Scales(tile);
    quantizers::DequantizeInt4(tile.main, scales, decoder.columns(), rows.weight.block_columns,
                               tile.out);
    decoder.CheckProducts(tile, scales, kLargest);
  });
}

int NibbleOf(uint8_t byte, int64_t which) { return which == 0 ? byte & 0xF : byte >> 4; }

void Store(float value, float& out) { out = value; }
void Store(float value, uint16_t& out) { out = quantizers::FloatToBf16(value); }

// Rows of integers, one by one: nibble(row, column, group of columns) is an integer, and each group
// has a scale.
template <typename Nibble>
void DecodeNibbles(const StoredRows& rows, quantizers::MutableRealSpan out, Nibble nibble) {
  constexpr float kLargest = 15;
  std::visit(
      [&]<typename Real>(std::span<Real> reals) {
        TileDecoder<Real> decoder(rows, reals);
        const auto width = static_cast<size_t>(decoder.columns());
        for (int64_t i = 0; i < rows.raw.row_count; ++i) {
          const int64_t row = rows.raw.row_begin + i;
          const DecodeTile<Real> tile = {row,
                                         row * decoder.columns(),
                                         {},
                                         reals.subspan(static_cast<size_t>(i) * width, width)};
          const std::span<const float> scales = decoder.Scales(tile);
          for (size_t column = 0; column < width; ++column) {
            const size_t group = column / static_cast<size_t>(rows.weight.block_columns);
            const int code = nibble(row, static_cast<int64_t>(column), static_cast<int64_t>(group));
            Store(static_cast<float>(code) * scales[group], tile.out[column]);
          }
          decoder.CheckProducts(tile, scales, kLargest);
        }
      },
      out);
}

std::vector<uint32_t> ReadZeroPoints(const StoredRows& rows) {
  const size_t tensor = rows.weight.zero_point;
  std::vector<uint32_t> words(rows.checkpoint.tensor(tensor).info.Bytes() / sizeof(uint32_t));
  rows.checkpoint.Read(tensor, 0, std::as_writable_bytes(std::span(words)));
  return words;
}

// (code - zero point) * scale; both are packed with a bias that cancels (compressed-tensors'
// pack-quantized): codes eight a word along a row, zero points along a column.
void DecodeInt4Zero(const StoredRows& rows, quantizers::MutableRealSpan out) {
  const std::span<const uint8_t> codes = AsCodes(rows.raw.main);
  const std::vector<uint32_t> zeros = ReadZeroPoints(rows);
  const int64_t columns = ColumnsPerRow(rows.weight);
  const int64_t groups = columns / rows.weight.block_columns;
  DecodeNibbles(rows, out, [&](int64_t row, int64_t column, int64_t group) {
    const int64_t element = (row - rows.raw.row_begin) * columns + column;
    const uint32_t word = zeros[static_cast<size_t>(row / kInt4PerWord * groups + group)];
    const auto zero = static_cast<int>((word >> (4 * (row % kInt4PerWord))) & 0xF);
    return NibbleOf(codes[static_cast<size_t>(element / 2)], element % 2) - zero;
  });
}

// code * scale, code -8..7 in two's complement; the even one of two rows in the low nibble
// (ModelOpt's pack_int4_in_uint8).
void DecodeInt4Rows(const StoredRows& rows, quantizers::MutableRealSpan out) {
  const std::span<const uint8_t> codes = AsCodes(rows.raw.main);
  const int64_t columns = ColumnsPerRow(rows.weight);
  const int64_t first = rows.raw.row_begin / kRowsPerByte;
  DecodeNibbles(rows, out, [&](int64_t row, int64_t column, int64_t /*group*/) {
    const auto byte = codes[static_cast<size_t>((row / kRowsPerByte - first) * columns + column)];
    const int code = NibbleOf(byte, row % kRowsPerByte);
    return code < 8 ? code : code - 16;
  });
}

void EncodeInt4(const RowsToEncode& rows, const EncodedSpans& out) {
  const std::span scales(reinterpret_cast<uint16_t*>(out.scales.data()), out.scales.size() / 2);
  quantizers::QuantizeInt4(rows.values, rows.columns, quantizers::kInt4GroupSize, out.codes,
                           scales);
}

constexpr std::string_view kInt4Hardware =
    "GPUs from compute capability 8.0 on (Ampere) use the weights alone";

}  // namespace

namespace formats {

constinit const Codec kInt4 = {.name = "int4",
                               .target = "int4",
                               .kind = FormatKind::kInt4,
                               .poor_error = 0.2,
                               .hardware = kInt4Hardware,
                               .recognises = IsInt4,
                               .resolve = ResolveInt4,
                               .decode = DecodeInt4,
                               .codes_cross_blocks = true,
                               .parts = {.codes = DType::kI32,
                                         .values_per_code = kInt4PerWord,
                                         .span = ScaleSpan::kGroup,
                                         .scale = DType::kBF16,
                                         .group = quantizers::kInt4GroupSize,
                                         .shape = true},
                               .methods = kInt4Methods,
                               .encode = EncodeInt4,
                               .compressed_tensors = {.format = "pack-quantized", .type = "int"}};

constinit const Codec kInt4Zero = {.name = "int4_asymmetric",
                                   .kind = FormatKind::kInt4,
                                   .hardware = kInt4Hardware,
                                   .recognises = IsInt4Zero,
                                   .resolve = ResolveInt4Zero,
                                   .decode = DecodeInt4Zero,
                                   .zero_points = true,
                                   .codes_cross_blocks = true};

constinit const Codec kInt4Rows = {.name = "int4_modelopt",
                                   .kind = FormatKind::kInt4,
                                   .hardware = kInt4Hardware,
                                   .recognises = IsInt4Rows,
                                   .resolve = ResolveInt4Rows,
                                   .decode = DecodeInt4Rows,
                                   .rows_per_unit = kRowsPerByte,
                                   .codes_cross_blocks = true};

}  // namespace formats
}  // namespace vernier::checkpoint
