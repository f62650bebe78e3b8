#include "export/row_encoder.h"

#include <cassert>
#include <cstring>
#include <span>
#include <vector>

#include "base/rounding.h"
#include "export/numbers.h"
#include "export/row_tiles.h"
#include "export/scale_search.h"
#include "quantizers/amax.h"
#include "quantizers/bf16.h"
#include "quantizers/fp8.h"
#include "quantizers/int4.h"
#include "quantizers/mxfp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::DType;
using checkpoint::LogicalWeight;
using checkpoint::RawRows;
using recipes::ScaleMethod;
using recipes::TargetFormat;

// Scales that `rows` rows have, the group's not among them.
int64_t ScaleCount(const RowTarget& target, int64_t rows, int64_t columns) {
  switch (target.format) {
    case TargetFormat::kNvfp4:
      return rows * (columns / quantizers::kNvfp4BlockSize);
    case TargetFormat::kMxfp4:
      return rows * (columns / quantizers::kMxfp4BlockSize);
    case TargetFormat::kMxfp8:
      return rows * (columns / quantizers::kMxfp8BlockSize);
    case TargetFormat::kFp8Channel:
      return rows;
    case TargetFormat::kFp8Block:
      return CeilDivide(rows, target.block_rows) * CeilDivide(columns, target.block_columns);
    case TargetFormat::kInt4:
      return rows * CeilDivide(columns, quantizers::kInt4GroupSize);
    default:
      return 0;
  }
}

// Where one tile's results go.
struct TileOutput {
  std::span<uint8_t> codes;
  std::span<uint8_t> scales;  // bytes, in the file's dtype
};

void StoreScale(float scale, DType dtype, size_t index, std::span<uint8_t> out) {
  const std::vector<std::byte> bytes = NumberBytes(scale, dtype);
  std::memcpy(out.data() + index * bytes.size(), bytes.data(), bytes.size());
}

template <typename Value>
void EncodeChannels(std::span<const Value> values, int64_t columns, DType dtype, TileOutput out) {
  const auto width = static_cast<size_t>(columns);
  for (size_t row = 0; row * width < values.size(); ++row) {
    const auto row_values = values.subspan(row * width, width);
    const float scale =
        RoundNumber(quantizers::Fp8Scale(quantizers::FindAmax(row_values).value), dtype);
    quantizers::QuantizeFp8(row_values, scale, out.codes.subspan(row * width, width));
    StoreScale(scale, dtype, row, out.scales);
  }
}

quantizers::Fp8ScaleKind ScaleKind(DType dtype) {
  if (dtype == DType::kF32) return quantizers::Fp8ScaleKind::kF32;
  if (dtype == DType::kBF16) return quantizers::Fp8ScaleKind::kBf16;
  return quantizers::Fp8ScaleKind::kE8m0;
}

template <typename Value>
void EncodeFp8Blocks(std::span<const Value> values, int64_t columns, const RowTarget& target,
                     TileOutput out) {
  const auto rows = static_cast<int64_t>(values.size()) / columns;
  std::vector<float> scales(static_cast<size_t>(ScaleCount(target, rows, columns)));
  quantizers::QuantizeFp8Blocks(values, columns, target.block_rows, target.block_columns,
                                ScaleKind(target.scale_dtype), out.codes, scales);
  for (size_t i = 0; i < scales.size(); ++i)
    StoreScale(scales[i], target.scale_dtype, i, out.scales);
}

template <typename Value>
void EncodeBf16(std::span<const Value> values, TileOutput out) {
  if constexpr (sizeof(Value) == sizeof(uint16_t)) {
    std::memcpy(out.codes.data(), values.data(), values.size_bytes());
  } else {
    quantizers::FloatToBf16(values, {reinterpret_cast<uint16_t*>(out.codes.data()), values.size()});
  }
}

template <typename Value>
void EncodeInt4(std::span<const Value> values, int64_t columns, TileOutput out) {
  const std::span scales(reinterpret_cast<uint16_t*>(out.scales.data()), out.scales.size() / 2);
  quantizers::QuantizeInt4(values, columns, quantizers::kInt4GroupSize, out.codes, scales);
}

template <typename Value>
void EncodeTile(std::span<const Value> values, int64_t columns, const RowTarget& target,
                const WeightScale& scale, const ErrorWeight& errors, TileOutput out) {
  switch (target.format) {
    case TargetFormat::kBf16:
      return EncodeBf16(values, out);
    case TargetFormat::kNvfp4:
      return quantizers::QuantizeNvfp4(
          values, columns,
          {scale.scale, Nvfp4SearchOf(target.method), errors.importance, errors.local_hessian},
          out.codes, out.scales);
    case TargetFormat::kMxfp4:
      return quantizers::QuantizeMxfp4(values, columns, Mxfp4SearchOf(target.method),
                                       errors.importance, out.codes, out.scales);
    case TargetFormat::kMxfp8:
      return quantizers::QuantizeMxfp8(values, columns, out.codes, out.scales);
    case TargetFormat::kFp8Tensor:
      return quantizers::QuantizeFp8(values, scale.scale, out.codes);
    case TargetFormat::kFp8Channel:
      return EncodeChannels(values, columns, target.scale_dtype, out);
    case TargetFormat::kFp8Block:
      return EncodeFp8Blocks(values, columns, target, out);
    case TargetFormat::kInt4:
      return EncodeInt4(values, columns, out);
    case TargetFormat::kKeep:
      assert(false && "kept weights are copied");
  }
}

std::span<const uint8_t> Codes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

uint64_t CodeBytes(TargetFormat format, int64_t rows, int64_t columns) {
  const auto values = static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns);
  switch (format) {
    case TargetFormat::kBf16:
      return values * 2;
    case TargetFormat::kNvfp4:
    case TargetFormat::kMxfp4:
    case TargetFormat::kInt4:
      return values / 2;
    default:
      return values;
  }
}

uint64_t ScaleBytes(const RowTarget& target, int64_t rows, int64_t columns) {
  const auto count = static_cast<uint64_t>(ScaleCount(target, rows, columns));
  return count * static_cast<uint64_t>(DTypeBits(target.scale_dtype)) / 8;
}

EncodedRows RowEncoder::Encode(size_t index, const RowTarget& target, const WeightScale& scale,
                               const RawRows& rows) const {
  const LogicalWeight& weight = source_.layout.weights[index];
  const int64_t columns = weight.columns();
  EncodedRows result{.codes = pool_->Take(CodeBytes(target.format, rows.row_count, columns)),
                     .scales = pool_->Take(ScaleBytes(target, rows.row_count, columns))};
  if (target.method == ScaleMethod::kLossless) {
    result.cast =
        quantizers::CastMxfp4ToNvfp4(Codes(rows.main), Codes(rows.scale), columns, scale.k_max,
                                     result.codes.codes(), result.scales.codes());
    return result;
  }
  if (target.method == ScaleMethod::kGptq &&
      solved_.Read(weight, scale.scale, rows.row_begin, result.codes.codes(),
                   result.scales.codes())) {
    return result;
  }
  const checkpoint::Rescaling rescaling = folds_.Of(index);
  ErrorWeight errors = error_weights_.Of(weight, target.method);
  errors.Rescale(rescaling.column_factors);
  ForEachTile(source_.checkpoint, weight, rescaling, rows, target.Quantum(),
              [&](const RawRows& tile, auto values) {
                const int64_t row = tile.row_begin - rows.row_begin;
                const TileOutput out{
                    result.codes.codes().subspan(CodeBytes(target.format, row, columns),
                                                 CodeBytes(target.format, tile.row_count, columns)),
                    result.scales.codes().subspan(ScaleBytes(target, row, columns),
                                                  ScaleBytes(target, tile.row_count, columns))};
                EncodeTile(values, columns, target, scale, errors, out);
              });
  return result;
}

}  // namespace vernier::exporter
