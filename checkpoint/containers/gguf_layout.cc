#include "checkpoint/containers/gguf_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/rounding.h"
#include "checkpoint/containers/gguf_place.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint::gguf {
namespace {

constexpr std::string_view kBlock = "blk.";

// The layer of "blk.12.attn_q.weight"; -1: none.
int64_t LayerOf(std::string_view name) {
  if (!name.starts_with(kBlock)) return -1;
  int64_t layer = -1;
  std::from_chars(name.data() + kBlock.size(), name.data() + name.size(), layer);
  return layer;
}

// Where a tensor stands among the others.
struct Rank {
  int64_t layer;
  std::string_view tensor;
  int64_t part;

  explicit Rank(std::string_view name)
      : layer(LayerOf(name)), tensor(ParsePartName(name).tensor), part(ParsePartName(name).part) {}
  auto operator<=>(const Rank&) const = default;
};

void RequireNextPart(std::string_view previous, std::string_view name) {
  const PartName before = ParsePartName(previous), now = ParsePartName(name);
  const bool begins = before.tensor != now.tensor;
  if (now.part <= 0 && begins) return;
  if (!begins && now.part == before.part + 1) return;
  throw Error(ErrorCode::kNotInContainer, name,
              "the experts before it are not in the checkpoint, and GGUF keeps all in one tensor",
              "Fetch the whole checkpoint");
}

// With the parts of `first`, of which there are `count`.
std::vector<int64_t> WholeShape(const TensorInfo& first, int64_t part, int64_t count) {
  if (part < 0) return first.shape;
  if (first.shape == std::vector<int64_t>{1}) return {count};
  std::vector<int64_t> shape = {count};
  shape.insert(shape.end(), first.shape.begin(), first.shape.end());
  return shape;
}

}  // namespace

std::vector<TensorInfo> PlaceTensors(std::vector<TensorSpec> specs, uint64_t data_begin) {
  std::ranges::sort(specs, {}, [](const TensorSpec& spec) { return Rank(spec.name); });
  std::vector<TensorInfo> tensors;
  tensors.reserve(specs.size());
  uint64_t position = data_begin;
  for (TensorSpec& spec : specs) {
    RequireNextPart(tensors.empty() ? "" : tensors.back().name, spec.name);
    if (ParsePartName(spec.name).part <= 0) position = RoundUp(position, kAlignment);
    tensors.push_back(PlaceTensor(std::move(spec), position));
    position = tensors.back().end;
  }
  return tensors;
}

uint64_t DataEnd(std::span<const TensorInfo> tensors, uint64_t data_begin) {
  return RoundUp(tensors.empty() ? data_begin : tensors.back().end, kAlignment);
}

std::vector<TensorEntry> EntriesOf(std::span<const TensorInfo* const> tensors,
                                   uint64_t data_begin) {
  std::vector<TensorEntry> entries;
  for (size_t i = 0; i < tensors.size();) {
    const PartName first = ParsePartName(tensors[i]->name);
    size_t end = i + 1;
    while (first.part >= 0 && end < tensors.size() &&
           ParsePartName(tensors[end]->name).tensor == first.tensor) {
      ++end;
    }
    const TensorType* type = FindType(tensors[i]->dtype_name);
    assert(type != nullptr);
    entries.push_back({.name = std::string(first.tensor),
                       .type = type,
                       .shape = WholeShape(*tensors[i], first.part, static_cast<int64_t>(end - i)),
                       .offset = tensors[i]->begin - data_begin});
    i = end;
  }
  return entries;
}

// llama.h, enum llama_ftype.
uint32_t FileType(std::span<const TensorEntry> tensors) {
  static constexpr auto kFileTypes = std::to_array<std::pair<std::string_view, uint32_t>>(
      {{"NVFP4", 39}, {"MXFP4", 38}, {"Q8_0", 7}, {"BF16", 32}, {"F16", 1}});
  for (const auto& [type, number] : kFileTypes) {
    if (std::ranges::any_of(tensors, [&](const auto& tensor) { return tensor.type->name == type; }))
      return number;
  }
  return 0;
}

std::vector<std::string> WithoutInputScale(std::span<const TensorEntry> tensors) {
  std::unordered_set<std::string_view> all;
  for (const TensorEntry& tensor : tensors) all.insert(tensor.name);
  std::vector<std::string> names;
  for (const TensorEntry& tensor : tensors) {
    if (tensor.type->name != "NVFP4") continue;
    const std::string module = tensor.name.substr(0, tensor.name.size() - kWeightSuffix.size());
    if (!all.contains(module + ".input_scale")) names.push_back(tensor.name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace vernier::checkpoint::gguf
