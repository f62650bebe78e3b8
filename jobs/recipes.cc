#include "jobs/recipes.h"

#include "checkpoint/source_model.h"

namespace vernier::jobs {

RecipesReport ListRecipes(const std::filesystem::path& checkpoint) {
  if (checkpoint.empty()) return {.checkpoint = {}, .recipes = recipes::ShippedRecipes()};
  return {.checkpoint = checkpoint,
          .recipes = recipes::FittingRecipes(checkpoint::OpenAnySourceModel(checkpoint))};
}

Json RecipesJson(const RecipesReport& report) {
  Json json = {{"checkpoint", nullptr}, {"default", nullptr}, {"recipes", Json::array()}};
  Json& list = json["recipes"];
  for (const recipes::ShippedRecipe& recipe : report.recipes) {
    list.push_back(
        {{"name", recipe.name}, {"description", recipe.description}, {"models", recipe.models}});
    if (recipe.by_default) json["default"] = recipe.name;
  }
  if (!report.checkpoint.empty()) json["checkpoint"] = report.checkpoint.string();
  return json;
}

}  // namespace vernier::jobs
