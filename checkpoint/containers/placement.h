// How a container keeps a weight that it does not keep as tensors of codes and scales.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_PLACEMENT_H_
#define VERNIER_CHECKPOINT_CONTAINERS_PLACEMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/formats/format.h"
#include "checkpoint/tensor_info.h"

namespace vernier::checkpoint {

// What the file has instead of a row's codes and scales.
enum class RowBlocks {
  kCodes,  // the codes alone
  kQ8Zero,
  kMxfp4,
  kNvfp4,  // these as quantizers/ggml_blocks.h has them
  kI32,    // of I64 codes
};

enum class RowOrder {
  kSame,
  kPairs,  // of each `head_rows`, i and i + head_rows / 2 become neighbours
  // The first `first_rows` of each `head_rows` are the first tensor, transposed; the others are the
  // second.
  kSplit,
};

struct Placement {
  // What rows are encoded in; none: they are the source's own codes and scales.
  Format format = {};
  RowBlocks blocks = RowBlocks::kCodes;
  RowOrder order = RowOrder::kSame;
  int64_t head_rows = 1;
  int64_t first_rows = 0;
};

// A placement, and what it needs of the file.
struct PlacedWeight {
  Placement placement;
  std::vector<TensorSpec> values;  // two of kSplit, otherwise one
  // F32, of formats that have them.
  std::optional<TensorSpec> global_scale = {}, input_scale = {};
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CONTAINERS_PLACEMENT_H_
