#include "jobs/recipes.h"

#include <utility>

#include "checkpoint/source_model.h"

namespace vernier::jobs {

RecipesReport ListRecipes(const std::filesystem::path& checkpoint) {
  if (checkpoint.empty()) return {.checkpoint = {}, .recipes = recipes::ShippedRecipes()};
  return {.checkpoint = checkpoint,
          .recipes = recipes::FittingRecipes(checkpoint::OpenAnySourceModel(checkpoint))};
}

Json RecipesJson(const RecipesReport& report) {
  Json list = Json::array();
  for (const recipes::ShippedRecipe& recipe : report.recipes) {
    list.push_back(
        {{"name", recipe.name}, {"description", recipe.description}, {"models", recipe.models}});
  }
  Json json = {{"checkpoint", nullptr}, {"default", nullptr}, {"recipes", std::move(list)}};
  if (report.checkpoint.empty()) return json;
  json["checkpoint"] = report.checkpoint.string();
  if (!report.recipes.empty()) json["default"] = report.recipes.front().name;
  return json;
}

}  // namespace vernier::jobs
