#include "recipes/layer_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "recipes/recipe_values.h"

namespace vernier::recipes {
namespace {

// Counted from 0.
int Counted(int number, int layers) { return number < 0 ? number + layers : number; }

bool SameEnd(int first, int last) { return (first < 0) == (last < 0); }

}  // namespace

LayerSet LayerSet::Parse(const Json& list, const ValueSource& source) {
  LayerSet set;
  for (const Json& entry : list) {
    const Range range = entry.is_array() ? Range{entry[0].get<int>(), entry[1].get<int>()}
                                         : Range{entry.get<int>(), entry.get<int>()};
    if (SameEnd(range.first, range.last) && range.last < range.first) {
      throw Error(source.code, source.subject,
                  fmt::format("the layers {} end before they begin", entry.dump()),
                  "Write the first layer, then the last");
    }
    set.ranges_.push_back(range);
  }
  return set;
}

bool LayerSet::Contains(int layer, int layers) const {
  if (layer < 0) return false;
  return std::ranges::any_of(ranges_, [&](const Range& range) {
    return Counted(range.first, layers) <= layer && layer <= Counted(range.last, layers);
  });
}

std::string LayerSet::Text() const {
  std::vector<std::string> parts;
  for (const Range& range : ranges_) {
    parts.push_back(range.first == range.last ? std::to_string(range.first)
                                              : fmt::format("{} to {}", range.first, range.last));
  }
  return JoinNames(parts);
}

}  // namespace vernier::recipes
