// The recipe's part of the table of options: a row per field, with the flag that replaces it. The
// recipe's schema, parser, overrides, help, manual and completions follow from it.
#ifndef VERNIER_RECIPES_OPTIONS_H_
#define VERNIER_RECIPES_OPTIONS_H_

#include <string_view>
#include <vector>

#include "recipes/option.h"

namespace vernier::recipes {

// In the order of the schema. Of rows with the same pointer the first is the field.
const std::vector<Option>& RecipeOptions();

// The row that is the recipe's field `pointer` ("/quantize/*/format" in entries of lists); there
// must be one.
const Option& FieldAt(std::string_view pointer);

// The value of a field that a recipe leaves out; null for a field that is required or then empty.
Json FieldDefault(const Option& option);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_OPTIONS_H_
