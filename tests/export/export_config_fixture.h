// Sources and recipes whose configs tests compare, without writing an output.
#ifndef VERNIER_TESTS_EXPORT_EXPORT_CONFIG_FIXTURE_H_
#define VERNIER_TESTS_EXPORT_EXPORT_CONFIG_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "export/quant_config.h"
#include "recipes/convert_recipe.h"
#include "tests/support/hf_model.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::exporter {

inline Json Parsed(const std::string& text) { return ParseJson(text, "the expectation"); }
// Order does not matter to a reader.
inline nlohmann::json Unordered(const Json& value) { return nlohmann::json::parse(value.dump()); }

class ConfigFormatsTest : public ::testing::Test {
 protected:
  checkpoint::SourceModel Model(const testing::HfOptions& options = {}) {
    return testing::MakeHfModel(directory_.path() / std::to_string(models_++), options);
  }
  checkpoint::SourceModel DeepseekV4() {
    testing::WriteSyntheticDeepseekV4(directory_.path(), {.layers = 2, .experts = 3, .shards = 1});
    return checkpoint::OpenSourceModel(directory_.path());
  }

  static OutputConfigs Configs(const checkpoint::SourceModel& source,
                               const recipes::Recipe& recipe) {
    return MakeOutputConfigs(source, recipes::MakePlan(source, recipe), "1.2");
  }
  static OutputConfigs Converted(
      const checkpoint::SourceModel& source, checkpoint::Format format, recipes::Dialect dialect,
      recipes::ActivationScales activations = recipes::ActivationScales::kNone) {
    return Configs(source, recipes::ConvertRecipe({.source = source,
                                                   .output = "out",
                                                   .weights = format,
                                                   .dialect = dialect,
                                                   .activations = activations}));
  }
  // The same without routed experts, which no engine loads in some formats.
  static OutputConfigs ConvertedButExperts(const checkpoint::SourceModel& source,
                                           checkpoint::Format format, recipes::Dialect dialect,
                                           recipes::ActivationScales activations) {
    recipes::Recipe recipe = recipes::ConvertRecipe({.source = source,
                                                     .output = "out",
                                                     .weights = format,
                                                     .dialect = dialect,
                                                     .activations = activations});
    std::erase_if(recipe.rules, [](const recipes::Rule& rule) {
      return rule.roles == std::vector{checkpoint::Role::kRoutedExpert};
    });
    return Configs(source, recipe);
  }
  static recipes::Recipe RecipeOf(
      const std::vector<std::pair<checkpoint::Role, checkpoint::Format>>& formats) {
    recipes::Recipe recipe;
    recipe.activations = recipes::ActivationScales::kConstant;
    for (const auto& [role, format] : formats) {
      recipes::Rule rule;
      rule.roles = {role};
      rule.format = format;
      recipe.rules.push_back(rule);
    }
    return recipe;
  }

  testing::TempDir directory_;
  int models_ = 0;
};

}  // namespace vernier::exporter

#endif  // VERNIER_TESTS_EXPORT_EXPORT_CONFIG_FIXTURE_H_
