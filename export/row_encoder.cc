#include "export/row_encoder.h"

#include <span>

#include "export/row_tiles.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::RawRows;
using recipes::ScaleMethod;

std::span<const uint8_t> Codes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

uint64_t RowTarget::CodeBytes(int64_t rows, int64_t columns) const {
  return keeps_codes() ? 0 : checkpoint::CodeBytes(format->parts, rows, columns);
}

uint64_t RowTarget::ScaleBytes(int64_t rows, int64_t columns) const {
  if (keeps_codes()) return 0;
  const int64_t count = checkpoint::ScalesOf(format->parts, rows, columns, blocks).count();
  return static_cast<uint64_t>(count) * static_cast<uint64_t>(checkpoint::DTypeBits(scale_dtype)) /
         8;
}

EncodedRows RowEncoder::Encode(size_t index, const RowTarget& target, const WeightScale& scale,
                               const RawRows& rows) const {
  const LogicalWeight& weight = source_.layout.weights[index];
  const int64_t columns = weight.columns();
  EncodedRows result{.codes = pool_->Take(target.CodeBytes(rows.row_count, columns)),
                     .scales = pool_->Take(target.ScaleBytes(rows.row_count, columns))};
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
                target.format->encode(
                    {.values = values,
                     .columns = columns,
                     .method = target.method,
                     .weight_scale = scale.scale,
                     .blocks = target.blocks,
                     .scale_dtype = target.scale_dtype,
                     .importance = errors.importance,
                     .local_hessian = errors.local_hessian},
                    {result.codes.codes().subspan(target.CodeBytes(row, columns),
                                                  target.CodeBytes(tile.row_count, columns)),
                     result.scales.codes().subspan(target.ScaleBytes(row, columns),
                                                   target.ScaleBytes(tile.row_count, columns))});
              });
  return result;
}

}  // namespace vernier::exporter
