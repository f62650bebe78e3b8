// An output shard, cut into independent pieces of bounded size.
#ifndef VERNIER_EXPORT_SHARD_WORK_H_
#define VERNIER_EXPORT_SHARD_WORK_H_

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "checkpoint/source_model.h"
#include "export/input_scales.h"
#include "export/weight_scales.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// Copies bytes of a source tensor.
struct CopyPiece {
  size_t tensor = 0;           // index into Checkpoint::tensors()
  uint64_t source_offset = 0;  // in the tensor
  uint64_t output_offset = 0;  // in the shard
  uint64_t bytes = 0;
};

// Quantises rows of a weight. A part that lies in another shard has no offset.
struct QuantizePiece {
  size_t weight = 0;  // index into ModelLayout::weights
  int64_t row_begin = 0;
  int64_t row_count = 0;
  std::optional<uint64_t> packed_offset = {};  // where these rows' nibbles go
  std::optional<uint64_t> scales_offset = {};  // where these rows' block scales go
};

// Writes one F32.
struct ScalarPiece {
  float value = 0;
  uint64_t output_offset = 0;
};

using ShardPiece = std::variant<CopyPiece, QuantizePiece, ScalarPiece>;

// All pieces of `shard`. Together they write every byte behind the header exactly once.
std::vector<ShardPiece> CutShard(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                 const std::vector<WeightScale>& weight_scales,
                                 const std::vector<InputScale>& input_scales,
                                 const recipes::OutputShard& shard);

// Bytes that a piece writes.
uint64_t PieceBytes(const checkpoint::ModelLayout& layout, const ShardPiece& piece);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SHARD_WORK_H_
