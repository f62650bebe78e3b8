// vernier recipes: those that come with the program, or those that fit a checkpoint.
#include "jobs/recipes.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/text.h"
#include "tools/command.h"
#include "tools/text_table.h"

namespace vernier::tools {
namespace {

std::string AllText(const jobs::RecipesReport& report) {
  std::string text;
  for (const recipes::ShippedRecipe& recipe : report.recipes) {
    text += fmt::format("  {:<36}  {}\n      {}\n", recipe.name,
                        recipe.models.empty() ? "any model" : JoinNames(recipe.models),
                        recipe.description);
  }
  return text + "\nvernier recipes DIR says which fit a checkpoint.\n";
}

std::string FittingText(const jobs::RecipesReport& report) {
  if (report.recipes.empty()) {
    return fmt::format("None of the shipped recipes fits {}.\n", report.checkpoint.string());
  }
  std::vector<std::vector<std::string>> rows;
  for (const recipes::ShippedRecipe& recipe : report.recipes) {
    rows.push_back({recipe.name, recipe.description});
  }
  const recipes::ShippedRecipe& first = report.recipes.front();
  return FormatTable({{"recipe"}, {"what it makes"}}, rows) +
         (first.by_default
              ? fmt::format("\nvernier run {} OUTPUT{} takes the first.\n",
                            report.checkpoint.string(), first.calibrates ? " --data TEXT" : "")
              : fmt::format("\nNone is taken by default: vernier run NAME --source {} takes one.\n",
                            report.checkpoint.string()));
}

}  // namespace

int RunRecipes(const Arguments& arguments, const CommandContext&) {
  std::filesystem::path directory;
  arguments.Read("DIR", directory);
  const jobs::RecipesReport report = jobs::ListRecipes(directory);
  if (arguments.Has("--json")) {
    fmt::print("{}\n", jobs::RecipesJson(report).dump(2));
  } else {
    fmt::print("{}", directory.empty() ? AllText(report) : FittingText(report));
  }
  return 0;
}

}  // namespace vernier::tools
