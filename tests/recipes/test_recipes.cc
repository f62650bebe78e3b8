#include "tests/recipes/test_recipes.h"

#include <filesystem>
#include <utility>

namespace vernier::testing {

Json MinimalDocument() {
  return ParseJson(R"({
    "version": 1, "source": "in", "output": "out", "run_dir": "run",
    "calibration": {"data": [{"path": "text.jsonl"}]},
    "quantize": [{"role": "routed_expert", "format": "nvfp4"}]
  })",
                   "minimal");
}

Json DocumentWith(const std::string& pointer, const Json& value) {
  Json document = MinimalDocument();
  document[Json::json_pointer(pointer)] = value;
  return document;
}

recipes::Recipe Parse(const Json& document) {
  return recipes::ParseRecipe(document.dump(), "/recipes/test.json");
}

checkpoint::SourceModel OpenTinyModel() {
  return checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) /
                                     "models/tiny-deepseek-v4");
}

recipes::Rule RoleRule(checkpoint::Role role, recipes::ScaleMethod scale) {
  recipes::Rule rule;
  rule.roles = {role};
  rule.format = checkpoint::formats::kNvfp4;
  rule.scale = scale;
  return rule;
}

recipes::Rule NameRule(std::string glob, checkpoint::Format format, recipes::ScaleMethod scale) {
  recipes::Rule rule;
  rule.name_glob = std::move(glob);
  rule.format = format;
  rule.scale = scale;
  return rule;
}

recipes::Recipe RecipeOf(std::vector<recipes::Rule> rules) {
  recipes::Recipe recipe;
  recipe.rules = std::move(rules);
  return recipe;
}

}  // namespace vernier::testing
