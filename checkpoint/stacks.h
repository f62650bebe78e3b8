// Tensors that hold all experts of a layer, taken apart: each expert's matrices become tensors of
// their own that lie within the stored one.
#ifndef VERNIER_CHECKPOINT_STACKS_H_
#define VERNIER_CHECKPOINT_STACKS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_info.h"

namespace vernier::checkpoint {

// How a family stores experts: X.experts.<name> [E, N, K] holds X.experts.e.<part>.weight of every
// expert e.
struct StackRow {
  std::string_view name;                   // "gate_up_proj"
  std::array<std::string_view, 2> leaves;  // "gate_proj", "up_proj"; the second empty: one alone
  // Rows of two take turns; otherwise those of the first come first.
  bool interleaved = false;
  // [E, K, N]: what is a row of an expert's matrix is a column of its slab.
  bool transposed = false;

  size_t parts() const { return leaves[1].empty() ? 1 : 2; }
};

// Where a tensor lies that is a part of a stored one. An expert's slab is `lines` of `line_bytes`;
// row r of the part is its line first + r * stride or, transposed, that element of every line.
struct StackPart {
  size_t stored = 0;  // index of the stored tensor
  int64_t expert = 0;
  std::string leaf;         // "gate_proj"
  uint64_t slab_begin = 0;  // in the stored tensor
  int64_t lines = 0;
  uint64_t line_bytes = 0;
  uint64_t element_bytes = 0;
  int64_t first = 0;
  int64_t stride = 1;
  bool transposed = false;

  uint64_t slab_bytes() const { return static_cast<uint64_t>(lines) * line_bytes; }
  // Its bytes follow each other in the file.
  bool contiguous() const { return !transposed && stride == 1; }
  uint64_t row_bytes() const;
};

// Bytes [begin, end) of a stored tensor.
struct StoredRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// What has to be read for bytes [offset, offset + size) of the part, which are whole rows unless it
// is contiguous.
StoredRange CoveringRange(const StackPart& part, uint64_t offset, uint64_t size);

// Takes these bytes out of what was read: `covering` is CoveringRange's.
void GatherRows(const StackPart& part, uint64_t offset, std::span<const std::byte> covering,
                std::span<std::byte> out);

// The other way: puts whole rows, from row 0 on, where they belong in an expert's slab.
void ScatterRows(const StackPart& part, std::span<const std::byte> rows, std::span<std::byte> slab);

// A part with its name, dtype and shape.
struct NamedPart {
  TensorSpec spec;
  StackPart part;
};

// The parts of a stored tensor X.experts.<name> or of scales that stand beside it (X_scale_inv,
// X_weight_scale, X_weight_scale_2, X_input_scale, X_blocks with X_scales), by expert; empty where
// no row has its name, or its shape is none that the row could mean. Scales are [E], then shared by
// an expert's parts, or have lines as the values have. `stored`: its index.
std::vector<NamedPart> PartsOfStack(const TensorInfo& tensor, size_t stored,
                                    std::span<const StackRow> rows);

// For an output that is stacked as its source is, with rows of another size.
StackPart Resized(StackPart part, uint64_t row_bytes);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_STACKS_H_
