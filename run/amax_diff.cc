#include "run/amax_diff.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace vernier::run {
namespace {

using ModuleKey = std::pair<int, std::string>;  // in order of layers
using ByModule = std::map<ModuleKey, const InputAmax*>;

ByModule Sorted(std::span<const InputAmax> inputs) {
  ByModule sorted;
  for (const InputAmax& input : inputs) sorted[{input.layer, input.module}] = &input;
  return sorted;
}

double RelativeChange(double a, double b) {
  return a == b ? 0 : std::abs(a - b) / std::max(std::abs(a), std::abs(b));
}

std::vector<std::string> NamesMissingIn(const ByModule& other, const ByModule& modules) {
  std::vector<std::string> names;
  for (const auto& [key, input] : modules) {
    if (!other.contains(key)) names.push_back(input->module);
  }
  return names;
}

}  // namespace

AmaxDiff DiffAmax(std::span<const InputAmax> first, std::span<const InputAmax> second,
                  double tolerance) {
  const ByModule a = Sorted(first), b = Sorted(second);
  AmaxDiff diff;
  diff.only_in_first = NamesMissingIn(b, a);
  diff.only_in_second = NamesMissingIn(a, b);
  for (const auto& [key, input] : a) {
    const auto other = b.find(key);
    if (other == b.end()) continue;
    ++diff.modules;
    const ModuleDifference difference = {
        .first = *input,
        .second = *other->second,
        .amax_change = RelativeChange(input->amax, other->second->amax),
        .tokens_change = RelativeChange(static_cast<double>(input->tokens),
                                        static_cast<double>(other->second->tokens))};
    const double change = std::max(difference.amax_change, difference.tokens_change);
    if (change > tolerance) diff.differing.push_back(difference);
  }
  return diff;
}

}  // namespace vernier::run
