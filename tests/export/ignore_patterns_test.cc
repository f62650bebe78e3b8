#include "dialects/ignore_patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"
#include "tests/export/export_fixture.h"

namespace vernier::exporter {
namespace {

using dialects::IgnorePatterns;
using dialects::Routers;
using recipes::kKeep;

using checkpoint::Role;
using ::testing::ElementsAre;

class IgnorePatternsTest : public ExportFixture {
 protected:
  void SetUp() override { WriteSource({.layers = 12, .experts = 3, .shards = 2}); }

  // The patterns, after checking that no quantised module matches one, in either way that
  // engines match.
  std::vector<std::string> Patterns(const std::vector<recipes::Rule>& rules) {
    const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
    const recipes::Plan plan = recipes::MakePlan(source, MakeRecipe(rules));
    std::vector<bool> quantised;
    for (const recipes::WeightPlan& weight : plan.weights) {
      quantised.push_back(weight.format != kKeep);
    }
    const std::vector<std::string> patterns =
        IgnorePatterns(source.layout, quantised, Routers::kLeftOut);
    for (size_t i = 0; i < plan.weights.size(); ++i) {
      const std::string& module = source.layout.weights[i].module;
      const bool kept = plan.weights[i].format == kKeep;
      const bool glob = std::ranges::any_of(
          patterns, [&](const std::string& pattern) { return GlobMatch(pattern, module); });
      const bool substring = std::ranges::any_of(patterns, [&](const std::string& pattern) {
        return module.find(pattern) != std::string::npos;
      });
      if (!kept) {
        EXPECT_FALSE(glob || substring) << module;
      } else if (source.layout.weights[i].linear &&
                 source.layout.weights[i].role != checkpoint::Role::kRouter) {
        EXPECT_TRUE(glob) << module;
      }
    }
    return patterns;
  }

  static recipes::Rule Keep(const std::string& glob) {
    return {.roles = {}, .name_glob = glob, .format = kKeep};
  }
};

TEST_F(IgnorePatternsTest, HybridHasThePublishedFour) {
  EXPECT_THAT(Patterns(HybridRules()),
              ElementsAre("*.attn.*", "*.ffn.shared_experts.*", "head", "mtp.*"));
}

TEST_F(IgnorePatternsTest, FullRecipeNamesWhatIsLeft) {
  EXPECT_THAT(Patterns(FullRules()),
              ElementsAre("*.attn.compressor.*", "*.attn.indexer.*", "head", "mtp.*"));
}

TEST_F(IgnorePatternsTest, AProjectionKeptInAllLayers) {
  std::vector<recipes::Rule> rules = FullRules();
  rules.push_back(Keep("*.attn.wo_a"));
  EXPECT_THAT(Patterns(rules), ElementsAre("*.attn.compressor.*", "*.attn.indexer.*", "*.attn.wo_a",
                                           "head", "mtp.*"));
}

TEST_F(IgnorePatternsTest, OneLayerKeptDoesNotTakeLayerTenWithIt) {
  std::vector<recipes::Rule> rules = HybridRules();
  rules.push_back(Keep("layers.1.ffn.experts.*"));
  EXPECT_THAT(Patterns(rules),
              ElementsAre("*.attn.*", "*.ffn.shared_experts.*", "head", "layers.1.*", "mtp.*"));
}

}  // namespace
}  // namespace vernier::exporter
