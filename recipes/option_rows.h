// The rows of recipes/options.h. To add a field of a recipe, with or without a flag: a row, and the
// member of Recipe that it names.
#ifndef VERNIER_RECIPES_OPTION_ROWS_H_
#define VERNIER_RECIPES_OPTION_ROWS_H_

#include <string>
#include <vector>

#include "recipes/option.h"

namespace vernier::recipes {

// Subcommands by what they take. Joined with "+", so each but the first begins with a space.
inline const std::string kTakeRecipe = "run calibrate export plan";
inline const std::string kTakeForward = " layertest trace eval generate";
inline const std::string kTakeConversion = " convert dequantize";

// The heading of options that a recipe replaces.
inline const std::string kWithoutRecipe = "Without a recipe";

std::vector<Option> MakeRecipeOptions();

// Parts of it, in files of their own.
void AppendCalibrationRows(std::vector<Option>& options);  // option_rows_data.cc
void AppendRuleRows(std::vector<Option>& options);         // option_rows_rules.cc

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_OPTION_ROWS_H_
