#include "recipes/options.h"

#include <algorithm>
#include <cassert>

#include "recipes/option_rows.h"

namespace vernier::recipes {
namespace {

// The defaults of everything: every list has one entry.
Recipe RecipeWithEntries() {
  Recipe recipe;
  for (const Option& option : RecipeOptions()) {
    if (option.entries.append) option.entries.append(recipe);
  }
  return recipe;
}

}  // namespace

const std::vector<Option>& RecipeOptions() {
  static const std::vector<Option> options = MakeRecipeOptions();
  return options;
}

const Option& FieldAt(std::string_view pointer) {
  const auto found = std::ranges::find(RecipeOptions(), pointer, &Option::pointer);
  assert(found != RecipeOptions().end() && "no row has this pointer");
  return *found;
}

Json FieldDefault(const Option& option) {
  static const Recipe defaults = RecipeWithEntries();
  if (!option.field.read || option.field.required) return nullptr;
  Json value = option.field.read(defaults);
  const bool may_be_empty = option.kind == ValueKind::kText && !option.schema.contains("minLength");
  return value == "" && !may_be_empty ? Json(nullptr) : value;
}

}  // namespace vernier::recipes
