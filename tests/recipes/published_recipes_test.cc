// Recipes that claim to make what NVIDIA publishes: the same modules in NVFP4, the same scales of
// the cache.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/families/kv_cache.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "tests/audit/published_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

struct Claim {
  const char* published;
  const char* recipe;
};

void PrintTo(const Claim& claim, std::ostream* out) { *out << claim.published; }

struct Content {
  std::set<std::string> nvfp4;      // modules
  std::set<std::string> kv_scales;  // tensors

  bool operator==(const Content&) const = default;
};

class PublishedRecipeTest : public ::testing::TestWithParam<Claim> {
 protected:
  // The model's headers, with layers of every kind; as NVIDIA published it or as it was before.
  checkpoint::SourceModel Open(bool as_released) {
    const std::filesystem::path place = directory_.path() / (as_released ? "released" : "nvidia");
    audit::WritePublishedModel(GetParam().published, {.experts = 16, .as_released = as_released},
                               place);
    return checkpoint::OpenAnySourceModel(place);
  }

  Content Published() {
    const checkpoint::SourceModel model = Open(/*as_released=*/false);
    Content content;
    for (const checkpoint::LogicalWeight& weight : model.layout.weights) {
      if (weight.format == checkpoint::formats::kNvfp4) content.nvfp4.insert(weight.module);
      if (checkpoint::IsKvCacheScale(weight.name)) content.kv_scales.insert(weight.name);
    }
    return content;
  }

  // What `recipe` makes of the released model.
  Content Planned(const Recipe& recipe) {
    const checkpoint::SourceModel source = Open(/*as_released=*/true);
    const Plan plan = MakePlan(source, recipe);
    Content content;
    for (size_t i = 0; i < plan.weights.size(); ++i) {
      const checkpoint::LogicalWeight& weight = source.layout.weights[i];
      const bool kept = plan.weights[i].format == kKeep;
      EXPECT_FALSE(kept && weight.format != checkpoint::formats::kPlain) << weight.name;
      if (plan.weights[i].format == formats::kNvfp4) content.nvfp4.insert(weight.module);
    }
    for (const OutputShard& shard : plan.shards) {
      for (const OutputTensor& tensor : shard.tensors) {
        if (tensor.part == OutputPart::kKvScale) content.kv_scales.insert(tensor.info.name);
      }
    }
    return content;
  }

  testing::TempDir directory_;
};

TEST_P(PublishedRecipeTest, QuantisesTheSameModules) {
  Recipe recipe =
      LoadRecipe(std::filesystem::path(VERNIER_SOURCE_DIR) / "recipes" / GetParam().recipe);
  recipe.kv_cache = KvCache::kFp8;  // as NVIDIA's
  const Content published = Published();
  EXPECT_GT(published.nvfp4.size(), 100u);
  EXPECT_EQ(published.kv_scales.size(), 2u * 5);
  const Content planned = Planned(recipe);
  EXPECT_EQ(planned.nvfp4, published.nvfp4);
  EXPECT_EQ(planned.kv_scales, published.kv_scales);
}

INSTANTIATE_TEST_SUITE_P(
    Nvidia, PublishedRecipeTest,
    ::testing::Values(Claim{"nvidia--DeepSeek-V3.1-NVFP4", "deepseek-v3-nvfp4.json"},
                      Claim{"nvidia--DeepSeek-V3.2-NVFP4", "deepseek-v3-nvfp4.json"},
                      Claim{"nvidia--Qwen3-235B-A22B-NVFP4", "nvfp4.json"}));

}  // namespace
}  // namespace vernier::recipes
