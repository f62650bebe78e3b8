#include "checkpoint/stacks.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kContainer = ".experts.";
constexpr int64_t kBlockBytes = 16;  // of X_blocks' last dimension

// A tensor beside the stack, and what it is beside one expert's matrix. Longer ends stand before
// those that they end in.
struct PartSuffix {
  std::string_view stored;
  std::string_view part;
};
constexpr auto kSuffixes = std::to_array<PartSuffix>({
    {"_weight_scale_inv", ".weight_scale_inv"},
    {"_scale_inv", ".weight_scale_inv"},
    {"_weight_scale_2", ".weight_scale_2"},
    {"_weight_scale", ".weight_scale"},
    {"_input_scale", ".input_scale"},
    {"_scales", ".weight_scale"},
    {"_scale", ".weight_scale"},
    {"_blocks", ".weight"},
    {"", ".weight"},
});

// "model.layers.0.mlp.experts.gate_up_proj_scale" as its container, row and suffix.
struct StackName {
  std::string container;  // "model.layers.0.mlp.experts."
  const StackRow* row = nullptr;
  PartSuffix suffix;
};

std::optional<StackName> ParseName(std::string_view name, std::span<const StackRow> rows) {
  const size_t found = name.rfind(kContainer);
  if (found == std::string_view::npos) return std::nullopt;
  const std::string_view leaf = name.substr(found + kContainer.size());
  for (const StackRow& row : rows) {
    if (!leaf.starts_with(row.name)) continue;
    const std::string_view rest = leaf.substr(row.name.size());
    for (const PartSuffix& suffix : kSuffixes) {
      if (rest != suffix.stored) continue;
      return StackName{std::string(name.substr(0, found + kContainer.size())), &row, suffix};
    }
  }
  return std::nullopt;
}

// Makes the parts of one stored tensor.
class StackSplitter {
 public:
  StackSplitter(const TensorInfo& tensor, size_t stored, const StackName& name)
      : tensor_(tensor), stored_(stored), name_(name), row_(*name.row) {}

  std::vector<NamedPart> Split() const {
    const std::vector<int64_t>& shape = tensor_.shape;
    if (shape.empty() || shape[0] <= 0 || tensor_.Bytes() == 0) return {};
    const bool numbers =
        std::all_of(shape.begin() + 1, shape.end(), [](int64_t n) { return n == 1; });
    const bool values = name_.suffix.part == ".weight";
    if (numbers && !values) return Numbers();
    if (name_.suffix.stored == "_blocks") return Blocks();
    return shape.size() == 3 ? Matrices(shape[1], shape[2]) : std::vector<NamedPart>();
  }

 private:
  int64_t experts() const { return tensor_.shape[0]; }
  uint64_t SlabBytes() const { return tensor_.Bytes() / static_cast<uint64_t>(experts()); }

  NamedPart Make(int64_t expert, size_t leaf, std::vector<int64_t> shape) const {
    const std::string_view leaf_name = row_.leaves[leaf];
    TensorSpec spec = {name_.container + std::to_string(expert) + "." + std::string(leaf_name) +
                           std::string(name_.suffix.part),
                       tensor_.dtype, std::move(shape)};
    StackPart part;
    part.stored = stored_;
    part.expert = expert;
    part.leaf = leaf_name;
    part.slab_begin = static_cast<uint64_t>(expert) * SlabBytes();
    return {std::move(spec), std::move(part)};
  }

  // Calls make(expert, leaf) for all of them.
  template <typename MakePart>
  std::vector<NamedPart> ForEachPart(MakePart make) const {
    std::vector<NamedPart> parts;
    for (int64_t expert = 0; expert < experts(); ++expert) {
      for (size_t leaf = 0; leaf < row_.parts(); ++leaf) parts.push_back(make(expert, leaf));
    }
    return parts;
  }

  // One number an expert, for all of its parts.
  std::vector<NamedPart> Numbers() const {
    return ForEachPart([&](int64_t expert, size_t leaf) {
      NamedPart part = Make(expert, leaf, {});
      part.part.lines = 1;
      part.part.line_bytes = part.part.element_bytes = SlabBytes();
      return part;
    });
  }

  // [E, N, groups, 16] of two nibbles a byte: rows of bytes.
  std::vector<NamedPart> Blocks() const {
    const std::vector<int64_t>& shape = tensor_.shape;
    if (shape.size() != 4 || shape[3] != kBlockBytes || row_.transposed) return {};
    return Matrices(shape[1], shape[2] * shape[3]);
  }

  // Slabs of `lines` x `width` elements.
  std::vector<NamedPart> Matrices(int64_t lines, int64_t width) const {
    const auto element_bytes = static_cast<uint64_t>(DTypeBits(tensor_.dtype)) / 8;
    const auto parts = static_cast<int64_t>(row_.parts());
    const int64_t all_rows = row_.transposed ? width : lines;
    if (element_bytes == 0 || lines <= 0 || width <= 0 || all_rows % parts != 0) return {};
    const int64_t rows = all_rows / parts;
    return ForEachPart([&](int64_t expert, size_t leaf) {
      NamedPart part = Make(expert, leaf, {rows, row_.transposed ? lines : width});
      part.part.lines = lines;
      part.part.line_bytes = static_cast<uint64_t>(width) * element_bytes;
      part.part.element_bytes = element_bytes;
      part.part.first = static_cast<int64_t>(leaf) * (row_.interleaved ? 1 : rows);
      part.part.stride = row_.interleaved ? parts : 1;
      part.part.transposed = row_.transposed;
      return part;
    });
  }

  const TensorInfo& tensor_;
  size_t stored_;
  const StackName& name_;
  const StackRow& row_;
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

std::vector<NamedPart> PartsOfStack(const TensorInfo& tensor, size_t stored,
                                    std::span<const StackRow> rows) {
  const std::optional<StackName> name = ParseName(tensor.name, rows);
  if (!name) return {};
  return StackSplitter(tensor, stored, *name).Split();
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
