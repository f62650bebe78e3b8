#include "dialects/ignore_patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
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

// A language model beside a vision tower, with delta nets in some layers.
class IgnorePatternsOfAHybrid : public ::testing::Test {
 protected:
  std::vector<std::string> Patterns(const std::set<Role>& roles) const {
    std::vector<bool> quantised;
    for (const checkpoint::LogicalWeight& weight : source_.layout.weights) {
      quantised.push_back(weight.quantisable() && roles.contains(weight.role));
    }
    return IgnorePatterns(source_.layout, quantised, Routers::kListed);
  }

  const checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(
      std::filesystem::path(VERNIER_TEST_DATA) / "models/qwen3_5_moe_vision");
};

TEST_F(IgnorePatternsOfAHybrid, StandForTowersAndDeltaNetsAsAWhole) {
  EXPECT_THAT(Patterns({Role::kAttention, Role::kSharedExpert, Role::kRoutedExpert}),
              ElementsAre("*.linear_attn.*", "*.mlp.gate", "*.mlp.shared_expert_gate", "lm_head",
                          "model.visual.*", "mtp.*"));
}

// Engines ask for each member of a fused matrix.
TEST_F(IgnorePatternsOfAHybrid, NameTheGatesOfDeltaNets) {
  const std::string delta_net = "model.language_model.layers.0.linear_attn.";
  EXPECT_THAT(
      Patterns(
          {Role::kAttention, Role::kLinearAttention, Role::kSharedExpert, Role::kRoutedExpert}),
      ElementsAre("*.mlp.gate", "*.mlp.shared_expert_gate", "lm_head", delta_net + "in_proj_a",
                  delta_net + "in_proj_b", "model.visual.*", "mtp.*"));
}

}  // namespace
}  // namespace vernier::exporter
