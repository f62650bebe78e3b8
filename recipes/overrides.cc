#include "recipes/overrides.h"

#include <algorithm>

#include "recipes/options.h"
#include "recipes/recipe.h"
#include "recipes/recipe_check.h"
#include "recipes/schema_check.h"

namespace vernier::recipes {
namespace {

void Write(const Option& field, const Override& given, const Json& value, Recipe& recipe) {
  CheckFieldValue(given.pointer, value, given.Name());
  // Relative paths stay so: they are relative to the current directory.
  field.field.write(value, {.base = {}, .source = {ErrorCode::kBadArgument, given.Name()}}, recipe);
}

void WriteOverride(const Override& given, Recipe& recipe) {
  const Option& field = FieldAt(given.pointer);
  const size_t entry = given.pointer.find("/*");
  if (entry == std::string::npos) return Write(field, given, given.value, recipe);
  const EntryList& list = FieldAt(given.pointer.substr(0, entry)).entries;
  list.clear(recipe);
  for (const Json& value : given.value) {
    list.append(recipe);
    Write(field, given, value, recipe);
  }
}

}  // namespace

const Override* FindOverride(const Overrides& overrides, std::string_view pointer) {
  const auto found = std::find_if(overrides.rbegin(), overrides.rend(),
                                  [&](const Override& given) { return given.pointer == pointer; });
  return found == overrides.rend() ? nullptr : &*found;
}

void ApplyOverrides(const Overrides& overrides, Recipe& recipe) {
  for (const Override& given : overrides) WriteOverride(given, recipe);
  if (recipe.default_run_dir) recipe.run_dir = DefaultRunDirectory(recipe.output);
  CheckRecipe(recipe, overrides);
}

}  // namespace vernier::recipes
