// Recipes and a source that the tests of this folder vary.
#ifndef VERNIER_TESTS_RECIPES_TEST_RECIPES_H_
#define VERNIER_TESTS_RECIPES_TEST_RECIPES_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/source_model.h"
#include "recipes/recipe.h"

namespace vernier::testing {

// The smallest document that the schema accepts.
Json MinimalDocument();
// The minimal document with `value` at `pointer` ("/calibration/samples"), its parents made as
// needed.
Json DocumentWith(const std::string& pointer, const Json& value);
recipes::Recipe Parse(const Json& document);

// tests/data/models/tiny-deepseek-v4: 5 layers of 8 experts and an MTP layer, two shards.
checkpoint::SourceModel OpenTinyModel();

recipes::Rule RoleRule(checkpoint::Role role, recipes::ScaleMethod scale);
recipes::Rule NameRule(std::string glob, checkpoint::Format format,
                       recipes::ScaleMethod scale = recipes::ScaleMethod::kAuto);
recipes::Recipe RecipeOf(std::vector<recipes::Rule> rules);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_RECIPES_TEST_RECIPES_H_
