#include "checkpoint/stacks.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/rounding.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kContainer = ".experts.";
// More than any model has: a header that promises as many is not believed.
constexpr int64_t kMostExperts = 1 << 16;
constexpr int64_t kBlockBytes = 16;  // of X_blocks' last dimension

constexpr std::string_view kValues = ".weight";

// Those of values, and of their scales where they have a name of their own.
constexpr auto kOtherSuffixes = std::to_array<StackSuffix>(
    {{"_scales", ".weight_scale"}, {kPackedStackSuffix, kValues}, {"", kValues}});

// Nothing for another name.
std::optional<std::string_view> PartSuffix(std::string_view stored) {
  for (const std::span<const StackSuffix> table : {std::span<const StackSuffix>(kStackedScales),
                                                   std::span<const StackSuffix>(kOtherSuffixes)}) {
    const auto found = std::ranges::find(table, stored, &StackSuffix::stored);
    if (found != table.end()) return found->part;
  }
  return std::nullopt;
}

// "model.layers.0.mlp.experts.gate_up_proj_scale" as its container, row and suffix.
struct StackName {
  std::string container;
  const StackRow* row = nullptr;
  std::string_view suffix;
};

std::optional<StackName> ParseName(std::string_view name, std::span<const StackRow> rows) {
  const size_t found = name.rfind(kContainer);
  if (found == std::string_view::npos) return std::nullopt;
  const std::string_view leaf = name.substr(found + kContainer.size());
  for (const StackRow& row : rows) {
    if (!leaf.starts_with(row.name)) continue;
    if (const auto suffix = PartSuffix(leaf.substr(row.name.size()))) {
      return StackName{std::string(name.substr(0, found + kContainer.size())), &row, *suffix};
    }
  }
  return std::nullopt;
}

// The matrices of a stored tensor, whichever way it lies.
struct SlabShape {
  int64_t lines = 0, width = 0;  // elements of an expert's slab
  bool transposed = false;

  int64_t rows() const { return transposed ? width : lines; }
};

// Makes the parts of one stored tensor.
class StackSplitter {
 public:
  StackSplitter(const Stack& stack, const Stack::Member& member)
      : container_(stack.container), row_(*stack.row), member_(member), tensor_(*member.info) {}

  int64_t experts() const { return tensor_.shape.empty() ? 0 : tensor_.shape[0]; }

  // One number an expert.
  bool IsNumbers() const {
    return std::all_of(tensor_.shape.begin() + 1, tensor_.shape.end(),
                       [](int64_t size) { return size == 1; });
  }

  // Nothing for a shape without matrices. Two nibbles a byte are rows of bytes, and cannot be
  // transposed.
  std::optional<SlabShape> Slab() const {
    const std::vector<int64_t>& shape = tensor_.shape;
    const bool bytes = tensor_.dtype == DType::kU8 || tensor_.dtype == DType::kI8;
    const bool values = member_.suffix == kValues;
    if (values && bytes && row_.transposed) return std::nullopt;
    if (values && shape.size() == 4 && shape[3] == kBlockBytes) {
      return SlabShape{shape[1], shape[2] * shape[3], false};
    }
    if (!values && shape.size() == 2) return SlabShape{shape[1], 1, false};  // one a row
    if (shape.size() != 3) return std::nullopt;
    return SlabShape{shape[1], shape[2], row_.transposed};
  }

  // Whether parts are whole lines of it. `values`: the slab of the stack's values.
  bool FitsParts(const SlabShape& slab, const SlabShape& values, const BlockSize& fp8) const {
    const auto parts = static_cast<int64_t>(row_.parts());
    const auto element = static_cast<uint64_t>(DTypeBits(tensor_.dtype));
    const bool whole = element == 8 || element == 16 || element == 32;
    if (!whole || slab.lines <= 0 || slab.width <= 0 || slab.rows() % parts != 0) return false;
    if (slab.rows() == values.rows()) return true;
    const bool blocks =
        slab.rows() == CeilDivide(values.rows(), fp8.rows) && values.rows() / parts % fp8.rows == 0;
    return blocks && !row_.interleaved;
  }

  // One number an expert, for all of its parts.
  void AddNumbers(std::vector<NamedPart>& parts) const {
    ForEachPart(parts, [&](NamedPart& part, size_t) {
      part.part.lines = 1;
      part.part.line_bytes = part.part.element_bytes = SlabBytes();
    });
  }

  void AddMatrices(const SlabShape& slab, std::vector<NamedPart>& parts) const {
    const auto element_bytes = static_cast<uint64_t>(DTypeBits(tensor_.dtype)) / 8;
    const auto count = static_cast<int64_t>(row_.parts());
    const int64_t rows = slab.rows() / count;
    ForEachPart(parts, [&](NamedPart& part, size_t leaf) {
      part.spec.shape = {rows, slab.transposed ? slab.lines : slab.width};
      part.part.lines = slab.lines;
      part.part.line_bytes = static_cast<uint64_t>(slab.width) * element_bytes;
      part.part.element_bytes = element_bytes;
      part.part.first = static_cast<int64_t>(leaf) * (row_.interleaved ? 1 : rows);
      part.part.stride = row_.interleaved ? count : 1;
      part.part.transposed = slab.transposed;
    });
  }

 private:
  uint64_t SlabBytes() const { return tensor_.Bytes() / static_cast<uint64_t>(experts()); }

  // Calls complete(part, leaf) for each of every expert.
  template <typename Complete>
  void ForEachPart(std::vector<NamedPart>& parts, Complete complete) const {
    for (int64_t expert = 0; expert < experts(); ++expert) {
      for (size_t leaf = 0; leaf < row_.parts(); ++leaf) {
        NamedPart part = {{container_ + std::to_string(expert) + "." +
                               std::string(row_.leaves[leaf]) + std::string(member_.suffix),
                           tensor_.dtype,
                           {}},
                          {}};
        part.part.stored = member_.stored;
        part.part.slab_begin = static_cast<uint64_t>(expert) * SlabBytes();
        complete(part, leaf);
        parts.push_back(std::move(part));
      }
    }
  }

  const std::string& container_;
  const StackRow& row_;
  const Stack::Member& member_;
  const TensorInfo& tensor_;
};

// Lines that a transposition takes at once: as many rows as a cache holds pieces of.
constexpr int64_t kTransposedAtOnce = 64;

// Calls copy(place in the slab, place among the rows) for every element of rows [row, row + rows)
// of a transposed part, in tiles.
template <typename Copy>
void ForEachElement(const StackPart& part, int64_t row, int64_t rows, Copy copy) {
  const uint64_t row_bytes = part.row_bytes();
  for (int64_t tile = 0; tile < rows; tile += kTransposedAtOnce) {
    const int64_t tile_end = std::min(rows, tile + kTransposedAtOnce);
    for (int64_t k = 0; k < part.lines; ++k) {
      for (int64_t i = tile; i < tile_end; ++i) {
        const auto column = static_cast<uint64_t>(part.first + (row + i) * part.stride);
        copy(static_cast<uint64_t>(k) * part.line_bytes + column * part.element_bytes,
             static_cast<uint64_t>(i) * row_bytes + static_cast<uint64_t>(k) * part.element_bytes);
      }
    }
  }
}

// Calls use(copy), where copy(to, from) moves one element: of a size that the compiler knows.
template <typename Use>
void WithElement(uint64_t bytes, Use use) {
  const auto of = []<size_t size>(std::integral_constant<size_t, size>) {
    return [](std::byte* to, const std::byte* from) { std::memcpy(to, from, size); };
  };
  if (bytes == 1) return use(of(std::integral_constant<size_t, 1>()));
  if (bytes == 2) return use(of(std::integral_constant<size_t, 2>()));
  assert(bytes == 4);
  use(of(std::integral_constant<size_t, 4>()));
}

// Calls copy(place in the slab, place among the rows) for each row of a part that is not
// transposed.
template <typename Copy>
void ForEachRow(const StackPart& part, int64_t row, int64_t rows, Copy copy) {
  for (int64_t i = 0; i < rows; ++i) {
    copy(static_cast<uint64_t>(part.first + (row + i) * part.stride) * part.line_bytes,
         static_cast<uint64_t>(i) * part.line_bytes);
  }
}

}  // namespace

uint64_t StackPart::row_bytes() const {
  return transposed ? static_cast<uint64_t>(lines) * element_bytes : line_bytes;
}

StoredRange CoveringRange(const StackPart& part, uint64_t offset, uint64_t size) {
  if (part.contiguous()) {
    const uint64_t begin =
        part.slab_begin + static_cast<uint64_t>(part.first) * part.line_bytes + offset;
    return {begin, begin + size};
  }
  if (size == 0) return {part.slab_begin, part.slab_begin};
  if (part.transposed) return {part.slab_begin, part.slab_begin + part.slab_bytes()};
  const uint64_t row = offset / part.line_bytes, rows = size / part.line_bytes;
  const auto first = static_cast<uint64_t>(part.first), stride = static_cast<uint64_t>(part.stride);
  return {part.slab_begin + (first + row * stride) * part.line_bytes,
          part.slab_begin + (first + (row + rows - 1) * stride + 1) * part.line_bytes};
}

void GatherRows(const StackPart& part, uint64_t offset, std::span<const std::byte> covering,
                std::span<std::byte> out) {
  if (out.empty()) return;
  const auto row_bytes = part.row_bytes();
  assert(offset % row_bytes == 0 && out.size() % row_bytes == 0);
  const auto row = static_cast<int64_t>(offset / row_bytes);
  const auto rows = static_cast<int64_t>(out.size() / row_bytes);
  const std::byte* slab =
      covering.data() - (CoveringRange(part, offset, out.size()).begin - part.slab_begin);
  if (!part.transposed) {
    return ForEachRow(part, row, rows, [&](uint64_t in_slab, uint64_t at) {
      std::memcpy(out.data() + at, slab + in_slab, row_bytes);
    });
  }
  WithElement(part.element_bytes, [&](auto copy) {
    ForEachElement(part, row, rows,
                   [&](uint64_t in_slab, uint64_t at) { copy(out.data() + at, slab + in_slab); });
  });
}

void ScatterRows(const StackPart& part, std::span<const std::byte> rows,
                 std::span<std::byte> slab) {
  assert(slab.size() == part.slab_bytes());
  const auto count = static_cast<int64_t>(rows.size() / part.row_bytes());
  if (!part.transposed) {
    return ForEachRow(part, 0, count, [&](uint64_t in_slab, uint64_t at) {
      std::memcpy(slab.data() + in_slab, rows.data() + at, part.line_bytes);
    });
  }
  WithElement(part.element_bytes, [&](auto copy) {
    ForEachElement(part, 0, count, [&](uint64_t in_slab, uint64_t at) {
      copy(slab.data() + in_slab, rows.data() + at);
    });
  });
}

std::vector<Stack> FindStacks(size_t count, const std::function<const TensorInfo&(size_t)>& info,
                              std::span<const StackRow> rows) {
  std::map<std::pair<std::string, const StackRow*>, Stack> found;
  for (size_t i = 0; i < count; ++i) {
    std::optional<StackName> name = ParseName(info(i).name, rows);
    if (!name) continue;
    Stack& stack = found[{name->container, name->row}];
    stack.container = std::move(name->container);
    stack.row = name->row;
    const auto place = name->suffix == kValues ? stack.members.begin() : stack.members.end();
    stack.members.insert(place, {i, name->suffix, &info(i)});
  }
  std::vector<Stack> stacks;
  for (auto& [key, stack] : found) {
    if (stack.members.front().suffix == kValues) stacks.push_back(std::move(stack));
  }
  return stacks;
}

std::vector<NamedPart> PartsOf(const Stack& stack, const BlockSize& fp8) {
  const StackSplitter first(stack, stack.members.front());
  const std::optional<SlabShape> values = first.Slab();
  if (!values || first.experts() > kMostExperts) return {};
  std::vector<NamedPart> parts;
  for (const Stack::Member& member : stack.members) {
    const StackSplitter splitter(stack, member);
    if (splitter.experts() <= 0 || splitter.experts() != first.experts()) return {};
    if (member.suffix != kValues && splitter.IsNumbers()) {
      splitter.AddNumbers(parts);
      continue;
    }
    const std::optional<SlabShape> slab = splitter.Slab();
    if (!slab || !splitter.FitsParts(*slab, *values, fp8)) return {};
    splitter.AddMatrices(*slab, parts);
  }
  return parts;
}

StackPart Resized(StackPart part, uint64_t row_bytes) {
  const uint64_t before = part.row_bytes();
  const auto scale = [&](uint64_t bytes) { return bytes * row_bytes / before; };
  part.slab_begin = scale(part.slab_begin);
  part.line_bytes = scale(part.line_bytes);
  part.element_bytes = scale(part.element_bytes);
  return part;
}

}  // namespace vernier::checkpoint
