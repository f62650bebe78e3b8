// Values that replace fields of a recipe: those of a command line, say.
#ifndef VERNIER_RECIPES_OVERRIDES_H_
#define VERNIER_RECIPES_OVERRIDES_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace vernier::recipes {

struct Recipe;

// "--samples 3" is {"/calibration/samples", 3, "--samples"}. Paths are relative to the current
// directory. A list at a field of entries, such as ["a.txt", "b.txt"] at
// "/calibration/data/*/path", replaces all entries.
struct Override {
  std::string pointer;
  Json value;
  std::string said_as = {};  // how errors name it; empty: by its pointer

  std::string Name() const { return said_as.empty() ? pointer : said_as; }
};
using Overrides = std::vector<Override>;

// The last value given for a field; null when there is none.
const Override* FindOverride(const Overrides& overrides, std::string_view pointer);

// Writes the values into the recipe, whose run directory follows the output if it is the default,
// and checks it as ParseRecipe does. kBadArgument for a value that its field may not have, and when
// a recipe is not complete with them.
void ApplyOverrides(const Overrides& overrides, Recipe& recipe);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_OVERRIDES_H_
