// The recipe's JSON Schema, made of the table of options.
#ifndef VERNIER_RECIPES_RECIPE_SCHEMA_H_
#define VERNIER_RECIPES_RECIPE_SCHEMA_H_

#include <string>

#include "base/json.h"

namespace vernier::recipes {

// Draft 7.
const Json& RecipeSchema();

// The text of recipes/recipe.schema.json.
std::string RecipeSchemaText();

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_RECIPE_SCHEMA_H_
