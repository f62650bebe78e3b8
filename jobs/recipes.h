// The recipes that come with Vernier, all or those that fit a checkpoint.
#ifndef VERNIER_JOBS_RECIPES_H_
#define VERNIER_JOBS_RECIPES_H_

#include <filesystem>
#include <vector>

#include "base/json.h"
#include "recipes/shipped.h"

namespace vernier::jobs {

struct RecipesReport {
  std::filesystem::path checkpoint;             // empty: all recipes
  std::vector<recipes::ShippedRecipe> recipes;  // of a checkpoint, the first is its default
};

// Errors as OpenAnySourceModel.
RecipesReport ListRecipes(const std::filesystem::path& checkpoint);

Json RecipesJson(const RecipesReport& report);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_RECIPES_H_
