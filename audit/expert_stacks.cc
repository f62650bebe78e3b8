#include "audit/expert_stacks.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vernier::audit {
namespace {

constexpr std::string_view kBias = "_bias";

// A stack's name in its container, and its parts' names in one expert; an empty name ends them. Of
// any model, as engines' loaders have them: an audit does not take a family's word for what it
// judges.
struct KnownStack {
  std::string_view stack;
  std::array<std::string_view, 2> slices;
};

constexpr KnownStack kStacks[] = {
    {"gate_up_proj", {"gate_proj", "up_proj"}},
    {"gate_up_proj", {"w1", "w3"}},
    {"down_proj", {"down_proj"}},
    {"down_proj", {"w2"}},
    {"gate_proj", {"gate_proj"}},
    {"up_proj", {"up_proj"}},
    {"w1", {"w1"}},
    {"w2", {"w2"}},
    {"w3", {"w3"}},
};

// One expert's modules, in their order; nothing when any is missing.
bool AddExpert(const ModuleIndex& index, std::string_view container, int64_t expert,
               const KnownStack& row, std::string_view suffix, std::vector<size_t>* slices) {
  for (const std::string_view slice : row.slices) {
    if (slice.empty()) continue;
    const auto found =
        index.by_name.find(fmt::format("{}.{}.{}{}", container, expert, slice, suffix));
    if (found == index.by_name.end() || index.modules[found->second].weight == kAbsent) {
      return false;
    }
    slices->push_back(found->second);
  }
  return true;
}

std::vector<size_t> AllExperts(const ModuleIndex& index, std::string_view container,
                               int64_t experts, const KnownStack& row, std::string_view suffix) {
  std::vector<size_t> slices;
  for (int64_t expert = 0; expert < experts; ++expert) {
    if (!AddExpert(index, container, expert, row, suffix, &slices)) return {};
  }
  return slices;
}

// How many values a tensor of `format` holds; nothing where that is more than its size says.
std::optional<int64_t> CountValues(const checkpoint::TensorInfo& info, StoredFormat format) {
  using checkpoint::FormatKind;
  constexpr int64_t kNibblesPerByte = 2;
  switch (format->kind) {
    case FormatKind::kNvfp4:
    case FormatKind::kMxfp4:
      return info.Elements() * (info.dtype == checkpoint::DType::kF4 ? 1 : kNibblesPerByte);
    case FormatKind::kFp8:
    case FormatKind::kMxfp8:
      return info.Elements();
    case FormatKind::kInt4:
      if (format != formats::kInt4Rows) return std::nullopt;
      return info.Elements() * kNibblesPerByte;
    default:
      if (format != formats::kPlain) return std::nullopt;
      return info.Elements();
  }
}

// Whether a stack has as many values as its slices together; so it is said to have where nobody
// knows.
bool HasSizeOf(const Module& stack, const Subject& stacked, const std::vector<size_t>& slices,
               const Subject& unstacked) {
  const std::optional<int64_t> held = CountValues(stacked.Info(stack.weight), stack.format);
  int64_t sum = 0;
  for (const size_t slice : slices) {
    const Module& module = unstacked.index.modules[slice];
    const std::optional<int64_t> values = CountValues(unstacked.Info(module.weight), module.format);
    if (!held || !values) return true;
    sum += *values;
  }
  return sum == held;
}

}  // namespace

std::vector<size_t> SlicesOf(const Module& stack, const Subject& stacked,
                             const Subject& unstacked) {
  const std::string_view container = ExpertContainer(stack.name);
  if (container.empty() || stack.weight == kAbsent) return {};
  const std::vector<int64_t>& shape = stacked.Info(stack.weight).shape;
  std::string_view leaf = std::string_view(stack.name).substr(container.size() + 1);
  const bool is_bias = leaf.ends_with(kBias);
  if (is_bias) leaf.remove_suffix(kBias.size());
  if (shape.size() < (is_bias ? 2 : 3)) return {};
  for (const KnownStack& row : kStacks) {
    if (row.stack != leaf) continue;
    const auto slices =
        AllExperts(unstacked.index, container, shape[0], row, is_bias ? ".bias" : "");
    if (!slices.empty() && HasSizeOf(stack, stacked, slices, unstacked)) return slices;
  }
  return {};
}

}  // namespace vernier::audit
