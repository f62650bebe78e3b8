// Recipes: any text is either a recipe or one Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "recipes/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vernier;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    recipes::Recipe recipe = recipes::ParseRecipe(text, "fuzz/recipe.json");
    for (const recipes::Rule& rule : recipe.rules) (void)rule.Describe();
    (void)recipes::CalibrationIdentity(recipe).dump();
  } catch (const Error&) {
  }
  return 0;
}
