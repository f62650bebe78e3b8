// What a recipe must be as a whole, beyond what the schema says of each field.
#ifndef VERNIER_RECIPES_RECIPE_CHECK_H_
#define VERNIER_RECIPES_RECIPE_CHECK_H_

#include "recipes/overrides.h"
#include "recipes/recipe.h"
#include "recipes/recipe_values.h"

namespace vernier::recipes {

// Data for what is calibrated, and three directories. kBadArgument where one of the overrides,
// which the recipe has, is at fault, else kBadRecipe.
void CheckRecipe(const Recipe& recipe, const Overrides& overrides);

// Source, output and run directory, as far as they are given, must be three places: writing into a
// source would destroy it.
void CheckDirectories(const Recipe& recipe, const ValueSource& source);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_RECIPE_CHECK_H_
