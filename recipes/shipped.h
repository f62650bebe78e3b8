// The recipes that come with the program, and which of them fit a checkpoint.
#ifndef VERNIER_RECIPES_SHIPPED_H_
#define VERNIER_RECIPES_SHIPPED_H_

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/overrides.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

struct ShippedRecipe {
  std::string name;
  std::string description;
  std::vector<std::string> models;  // model types that it was made for; empty: any
  bool calibrates = false;          // and so needs data
  bool by_default = false;          // for the checkpoint that was asked about
};

// All of them, those for certain models first.
std::vector<ShippedRecipe> ShippedRecipes();

// Those that fit `source`: made for its model type (that of config.json or of its language model)
// or for any, and with a plan. Where the family is guessed, only such as calibrate nothing. The
// first about something that it has is the default; where that has no plan, there is none. Reads no
// tensor.
std::vector<ShippedRecipe> FittingRecipes(const checkpoint::SourceModel& source);

// What a recipe is asked for by.
struct RecipeRequest {
  // The path of a recipe's file; the name of a shipped recipe; or the directory of a checkpoint,
  // which gets its default recipe and is its source. The first of these that it is.
  std::string recipe;
  Overrides overrides;
  bool runs = true;  // so that calibration data must be there
};

// kBadArgument for a shipped recipe to which the overrides give no source, output or, if it
// calibrates and is to run, no data; for a checkpoint that its default does not fit, and one beside
// another source; for a word that is none of all this and no *.json. Errors as LoadRecipe and
// OpenAnySourceModel.
Recipe FindRecipe(const RecipeRequest& request);

// The same for the checkpoint that the overrides name as the source, by default recipe.
Recipe FindDefaultRecipe(Overrides overrides, bool runs = true);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_SHIPPED_H_
