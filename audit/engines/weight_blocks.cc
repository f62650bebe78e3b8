#include "audit/engines/weight_blocks.h"

#include <vector>

#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

constexpr int64_t kInt4PerElement = 8;

// Whether it is known how a quantised format may be cut.
bool IsCut(StoredFormat format) {
  return IsQuantised(format) && IsJudged(format) && format != formats::kInt4Zero &&
         format != formats::kInt4Rows;
}

// Values per stored element along a row.
int64_t ValuesPerElement(StoredFormat format) {
  if (format == formats::kInt4) return kInt4PerElement;
  return checkpoint::IsNvfp4(format) || format == formats::kMxfp4 ? 2 : 1;
}

// Columns of a group of INT4, by its scales; 1 where they say nothing (B04) or are those of rows,
// which every part of a row may have.
int64_t Int4Group(const Subject& subject, const Module& module, int64_t columns) {
  if (module.block_scale == kAbsent) return 1;
  const std::vector<int64_t>& shape = subject.Info(module.block_scale).shape;
  if (shape.size() != 2 || shape[1] < 1 || columns % shape[1] != 0) return 1;
  const int64_t group = columns / shape[1];
  return shape[1] > 1 || subject.Config().group_size == group ? group : 1;
}

}  // namespace

std::optional<WeightBlocks> BlocksOf(const Subject& subject, const Module& module) {
  const StoredFormat format = module.format;
  if (!IsCut(format) || subject.Info(module.weight).shape.size() != 2) return std::nullopt;
  const std::vector<int64_t>& shape = subject.Info(module.weight).shape;
  WeightBlocks blocks = {.rows = shape[0], .columns = shape[1] * ValuesPerElement(format)};
  if (format == formats::kNvfp4) blocks.block_columns = quantizers::kNvfp4BlockSize;
  if (format == formats::kNvfp4Wide) blocks.block_columns = 2 * quantizers::kNvfp4BlockSize;
  if (format == formats::kMxfp4 || format == formats::kMxfp8) {
    blocks.block_columns = quantizers::kMxfp4BlockSize;
  }
  if (format == formats::kInt4) blocks.block_columns = Int4Group(subject, module, blocks.columns);
  if (format == formats::kFp8Block) {
    blocks.block_rows = subject.index.fp8_block.rows;
    blocks.block_columns = subject.index.fp8_block.columns;
  }
  return blocks;
}

}  // namespace vernier::audit
