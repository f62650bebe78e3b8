// Recipes for whole-command tests.
#ifndef VERNIER_TESTS_TOOLS_RECIPE_BUILDER_H_
#define VERNIER_TESTS_TOOLS_RECIPE_BUILDER_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::testing {

// The example model, with its paths below `directory`: output "out", run directory "run".
Json ExampleRecipe(const std::filesystem::path& directory);

// A recipe for the synthetic checkpoint `source`, whose calibration data are random token ids
// written below `directory`.
Json SyntheticRecipe(const std::filesystem::path& directory, const std::filesystem::path& source,
                     int64_t vocab, int64_t samples, int64_t sequence_length);

std::string WriteRecipe(const std::filesystem::path& directory, const Json& recipe,
                        const std::string& file_name = "recipe.json");

// Copies a model of tests/data/models to `directory`, once, with a tokenizer; returns where it is.
std::filesystem::path CopyTestModel(const std::filesystem::path& directory,
                                    const std::string& model);

// Copies the byte-level tokenizer of the example model to a checkpoint that has none.
void AddTokenizer(const std::filesystem::path& checkpoint);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_TOOLS_RECIPE_BUILDER_H_
