#include "audit/expert_stacks.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace vernier::audit {
namespace {

constexpr std::string_view kBias = "_bias";

// A stack's name in its container, and its parts' names in one expert; an empty name ends them.
struct StackRow {
  std::string_view stack;
  std::array<std::string_view, 2> slices;
};

constexpr StackRow kStacks[] = {
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
               const StackRow& row, std::string_view suffix, std::vector<size_t>* slices) {
  for (const std::string_view slice : row.slices) {
    if (slice.empty()) continue;
    const auto found =
        index.by_name.find(fmt::format("{}.{}.{}{}", container, expert, slice, suffix));
    if (found == index.by_name.end() || index.modules[found->second].weight == kAbsent)
      return false;
    slices->push_back(found->second);
  }
  return true;
}

std::vector<size_t> AllExperts(const ModuleIndex& index, std::string_view container,
                               int64_t experts, const StackRow& row, std::string_view suffix) {
  std::vector<size_t> slices;
  for (int64_t expert = 0; expert < experts; ++expert) {
    if (!AddExpert(index, container, expert, row, suffix, &slices)) return {};
  }
  return slices;
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
  for (const StackRow& row : kStacks) {
    if (row.stack != leaf) continue;
    const auto slices =
        AllExperts(unstacked.index, container, shape[0], row, is_bias ? ".bias" : "");
    if (!slices.empty()) return slices;
  }
  return {};
}

}  // namespace vernier::audit
