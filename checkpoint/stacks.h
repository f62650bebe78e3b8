// Tensors that hold all experts of a layer, taken apart: each expert's matrices become tensors of
// their own that lie within the stored one.
#ifndef VERNIER_CHECKPOINT_STACKS_H_
#define VERNIER_CHECKPOINT_STACKS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/block_size.h"
#include "checkpoint/tensor_info.h"

namespace vernier::checkpoint {

// The end of the name of a tensor that holds two 4-bit values a byte, [E, N, K / 32, 16]:
// gpt-oss's.
inline constexpr std::string_view kPackedStackSuffix = "_blocks";

// A tensor of scales beside a stack X, which is called X_weight_scale and the like, and what its
// parts are called beside one expert's matrix. (ModelOpt's export of Llama 4 and gpt-oss; FP8
// releases of Qwen3.5 and Llama 4.) Longer suffixes stand before those that they end in.
struct StackSuffix {
  std::string_view stored;
  std::string_view part;
};
inline constexpr auto kStackedScales = std::to_array<StackSuffix>({
    {"_weight_scale_inv", ".weight_scale_inv"},
    {"_scale_inv", ".weight_scale_inv"},
    {"_weight_scale_2", ".weight_scale_2"},
    {"_weight_scale", ".weight_scale"},
    {"_input_scale", ".input_scale"},
    {"_scale", ".weight_scale"},
});

// What parts are called of a tensor X<stored> beside a stack X, or of the stack itself (""):
// ".weight", ".weight_scale", ".bias". Nothing for another name.
std::optional<std::string_view> PartSuffix(std::string_view stored);

// How a family stores experts: X.experts.<name> [E, N, K] holds X.experts.e.<leaf>.weight of every
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
  size_t stored = 0;        // index of the stored tensor
  uint64_t slab_begin = 0;  // in the stored tensor
  int64_t lines = 0;
  uint64_t line_bytes = 0;
  uint64_t element_bytes = 0;
  int64_t first = 0;
  int64_t stride = 1;
  bool transposed = false;
  bool turns = false;  // blocks of values that would lie transposed if they were plain

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

// A stored stack: X.experts.<name> or X.experts.<name>_blocks, and the scales beside it
// (X_scale_inv, X_weight_scale, X_weight_scale_2, X_input_scale, X_scales) and biases (X_bias).
// Biases may be alone, beside experts that are stored one by one.
struct Stack {
  struct Member {
    size_t stored = 0;        // index of the tensor
    std::string_view suffix;  // of its parts: ".weight", ".weight_scale"
    const TensorInfo* info = nullptr;
  };
  std::string container;  // "model.layers.0.mlp.experts."
  const StackRow* row = nullptr;
  std::vector<Member> members;  // values first

  size_t values() const { return members.front().stored; }
};

// Those among tensors 0..count - 1 that rows describe and that have values or biases. `info`
// outlives them.
std::vector<Stack> FindStacks(size_t count, const std::function<const TensorInfo&(size_t)>& info,
                              std::span<const StackRow> rows);

// The parts of all of a stack's tensors, by tensor and expert. Scales are one an expert ([E] or
// [E, 1, 1]), then shared by its parts, or have lines as the values have, one a row or one a block
// of fp8.rows. Empty where a shape is none that the row could mean, or a block of scales would
// belong to both parts.
std::vector<NamedPart> PartsOf(const Stack& stack, const BlockSize& fp8);

// For an output that is stacked as its source is, of plain values: with rows of `columns` values in
// `row_bytes`.
StackPart Resized(StackPart part, int64_t columns, uint64_t row_bytes);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_STACKS_H_
