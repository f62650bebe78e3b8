#include "checkpoint/stacks.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/rounding.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kContainer = ".experts.";
// More than any model has: a header that promises as many is not believed.
constexpr int64_t kMostExperts = 1 << 16;
constexpr int64_t kBlockBytes = 16;  // of X_blocks' last dimension

constexpr std::string_view kValues = ".weight", kBias = ".bias";

// Those of values, of biases, and of scales where they have a name of their own.
constexpr auto kOtherSuffixes = std::to_array<StackSuffix>(
    {{"_scales", ".weight_scale"}, {"_bias", kBias}, {kPackedStackSuffix, kValues}, {"", kValues}});

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
      : container_(stack.container),
        row_(*stack.row),
        transposed_(row_.transposed && !IsPacked(stack)),
        member_(member),
        tensor_(*member.info) {}

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
    if (values && bytes && transposed_) return std::nullopt;
    if (values && shape.size() == 4 && shape[3] == kBlockBytes) {
      return SlabShape{shape[1], shape[2] * shape[3], false};
    }
    if (!values && shape.size() == 2) return SlabShape{shape[1], 1, false};  // one a row
    if (shape.size() != 3) return std::nullopt;
    return SlabShape{shape[1], shape[2], transposed_};
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
      if (member_.suffix == kBias) part.spec.shape.pop_back();
      part.part.lines = slab.lines;
      part.part.line_bytes = static_cast<uint64_t>(slab.width) * element_bytes;
      part.part.element_bytes = element_bytes;
      part.part.first = static_cast<int64_t>(leaf) * (row_.interleaved ? 1 : rows);
      part.part.stride = row_.interleaved ? count : 1;
      part.part.transposed = slab.transposed;
      part.part.turns = row_.transposed && !transposed_ && member_.suffix == kValues;
    });
  }

 private:
  // Rows of blocks lie behind each other, whichever way plain values do.
  static bool IsPacked(const Stack& stack) {
    return stack.members.front().info->name.ends_with(kPackedStackSuffix);
  }
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
  bool transposed_;
  const Stack::Member& member_;
  const TensorInfo& tensor_;
};

}  // namespace

std::optional<std::string_view> PartSuffix(std::string_view stored) {
  for (const std::span<const StackSuffix> table : {std::span<const StackSuffix>(kStackedScales),
                                                   std::span<const StackSuffix>(kOtherSuffixes)}) {
    const auto found = std::ranges::find(table, stored, &StackSuffix::stored);
    if (found != table.end()) return found->part;
  }
  return std::nullopt;
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
    const std::string_view first = stack.members.front().suffix;
    const bool only_biases = first == kBias && stack.members.size() == 1;
    if (first == kValues || only_biases) stacks.push_back(std::move(stack));
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

}  // namespace vernier::checkpoint
