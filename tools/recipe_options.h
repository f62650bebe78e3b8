// The recipe argument and the flags that override its fields, for every subcommand that takes a
// recipe.
#ifndef VERNIER_TOOLS_RECIPE_OPTIONS_H_
#define VERNIER_TOOLS_RECIPE_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "recipes/recipe.h"

namespace vernier::tools {

struct RecipeOptions {
  std::string path;
  recipes::Overrides overrides;
};

// Adds RECIPE and the flags to `command`; `options` must live until the command line is parsed.
void AddRecipeOptions(CLI::App& command, RecipeOptions& options);

// The recipe at options.path with the overrides applied; errors as recipes::LoadRecipe and
// recipes::ApplyOverrides.
recipes::Recipe LoadRecipe(const RecipeOptions& options);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_RECIPE_OPTIONS_H_
