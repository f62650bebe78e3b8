#include "export/shard_work.h"

#include <algorithm>
#include <map>

#include "export/row_chunks.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using recipes::OutputPart;
using recipes::OutputTensor;

// Where in this shard a quantised weight's two large parts begin.
struct QuantizedPlace {
  std::optional<uint64_t> packed;
  std::optional<uint64_t> scales;
};

uint64_t PackedBytes(const LogicalWeight& weight, int64_t rows) {
  return static_cast<uint64_t>(rows * weight.columns() / 2);
}

uint64_t ScaleBytes(const LogicalWeight& weight, int64_t rows) {
  return static_cast<uint64_t>(rows * weight.columns() / quantizers::kNvfp4BlockSize);
}

void CutCopy(const OutputTensor& tensor, std::vector<ShardPiece>& pieces) {
  for (uint64_t done = 0; done < tensor.info.Bytes(); done += kChunkBytes) {
    pieces.push_back(CopyPiece{.tensor = tensor.source_tensor,
                               .source_offset = done,
                               .output_offset = tensor.info.begin + done,
                               .bytes = std::min(kChunkBytes, tensor.info.Bytes() - done)});
  }
}

void CutQuantized(size_t index, const LogicalWeight& weight, const QuantizedPlace& place,
                  std::vector<ShardPiece>& pieces) {
  const int64_t step = RowsPerChunk(weight.columns());
  for (int64_t row = 0; row < weight.rows(); row += step) {
    QuantizePiece piece{
        .weight = index, .row_begin = row, .row_count = std::min(step, weight.rows() - row)};
    if (place.packed) piece.packed_offset = *place.packed + PackedBytes(weight, row);
    if (place.scales) piece.scales_offset = *place.scales + ScaleBytes(weight, row);
    pieces.push_back(piece);
  }
}

}  // namespace

std::vector<ShardPiece> CutShard(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                 const std::vector<WeightScale>& weight_scales,
                                 const std::vector<InputScale>& input_scales,
                                 const recipes::OutputShard& shard) {
  std::vector<ShardPiece> pieces;
  std::map<size_t, QuantizedPlace> quantized;
  for (const OutputTensor& tensor : shard.tensors) {
    const size_t group = plan.weights[tensor.weight].scale_group;
    switch (tensor.part) {
      case OutputPart::kSourceBytes:
        CutCopy(tensor, pieces);
        break;
      case OutputPart::kPacked:
        quantized[tensor.weight].packed = tensor.info.begin;
        break;
      case OutputPart::kBlockScale:
        quantized[tensor.weight].scales = tensor.info.begin;
        break;
      case OutputPart::kGlobalScale:
        pieces.push_back(ScalarPiece{weight_scales[group].global_scale, tensor.info.begin});
        break;
      case OutputPart::kInputScale:
        pieces.push_back(ScalarPiece{input_scales[group].scale, tensor.info.begin});
        break;
    }
  }
  for (const auto& [index, place] : quantized) {
    CutQuantized(index, source.layout.weights[index], place, pieces);
  }
  return pieces;
}

uint64_t PieceBytes(const checkpoint::ModelLayout& layout, const ShardPiece& piece) {
  if (const auto* copy = std::get_if<CopyPiece>(&piece)) return copy->bytes;
  if (std::holds_alternative<ScalarPiece>(piece)) return sizeof(float);
  const auto& rows = std::get<QuantizePiece>(piece);
  const LogicalWeight& weight = layout.weights[rows.weight];
  return (rows.packed_offset ? PackedBytes(weight, rows.row_count) : 0) +
         (rows.scales_offset ? ScaleBytes(weight, rows.row_count) : 0);
}

}  // namespace vernier::exporter
