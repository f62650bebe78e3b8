#include "recipes/plan_kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "dialects/target_parts.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan_summary.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

using checkpoint::DType;
using checkpoint::Role;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::HfFormat;
using ::vernier::testing::NameRule;
using ::vernier::testing::RecipeOf;
using ::vernier::testing::RoleRule;

constexpr const char* kAttention = "model.layers.0.self_attn";

class PlanKvCacheTest : public ::testing::Test {
 protected:
  checkpoint::SourceModel Model(const vernier::testing::HfOptions& options = {}) {
    return MakeHfModel(directory_.path() / std::to_string(models_++), options);
  }

  // Experts in NVFP4 and this cache.
  static Recipe WithCache(KvCache kv_cache, Dialect dialect = &dialects::kModelopt) {
    Recipe recipe = RecipeOf({RoleRule(Role::kRoutedExpert, ScaleMethod::kAuto)});
    recipe.kv_cache = kv_cache;
    recipe.dialect = dialect;
    return recipe;
  }

  // The tensors of the output that are scales of the cache, by name.
  static std::map<std::string, checkpoint::TensorInfo> KvScales(const Plan& plan) {
    std::map<std::string, checkpoint::TensorInfo> scales;
    for (const OutputShard& shard : plan.shards) {
      for (const OutputTensor& tensor : shard.tensors) {
        if (tensor.part == OutputPart::kKvScale) scales[tensor.info.name] = tensor.info;
      }
    }
    return scales;
  }

  static std::string Refusal(const checkpoint::SourceModel& source, const Recipe& recipe) {
    return ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, recipe); });
  }

  vernier::testing::TempDir directory_;
  int models_ = 0;
};

TEST_F(PlanKvCacheTest, NothingIsPlannedUnlessAskedFor) {
  const Plan plan = MakePlan(Model(), WithCache(KvCache::kNone));
  EXPECT_THAT(KvScales(plan), IsEmpty());
  EXPECT_THAT(plan.observed_modules, Not(Contains(HasSubstr("_cache"))));
}

TEST_F(PlanKvCacheTest, ModeloptScalesAreF32BesideTheirProjections) {
  const Plan plan = MakePlan(Model(), WithCache(KvCache::kFp8));
  const auto scales = KvScales(plan);
  EXPECT_THAT(scales, SizeIs(4));
  for (const std::string name : {".k_proj.k_scale", ".v_proj.v_scale"}) {
    const auto found = scales.find(kAttention + name);
    ASSERT_NE(found, scales.end()) << name;
    EXPECT_EQ(found->second.dtype, DType::kF32);
    EXPECT_THAT(found->second.shape, IsEmpty());
  }
}

TEST_F(PlanKvCacheTest, Nvfp4HasTheScalesOfFp8InModeloptAlone) {
  const Plan fp8 = MakePlan(Model(), WithCache(KvCache::kFp8));
  const Plan nvfp4 = MakePlan(Model(), WithCache(KvCache::kNvfp4));
  EXPECT_THAT(KvScales(nvfp4), SizeIs(4));
  EXPECT_EQ(nvfp4.observed_modules, fp8.observed_modules);
  EXPECT_THAT(KvScales(MakePlan(Model(), WithCache(KvCache::kNvfp4Cast))), IsEmpty());
  EXPECT_THAT(Refusal(Model(), WithCache(KvCache::kNvfp4, &dialects::kCompressedTensors)),
              HasSubstr("engines read none from configurations of compressed-tensors"));
}

TEST_F(PlanKvCacheTest, TheSourcesNvfp4CacheIsNotLostInSilence) {
  const checkpoint::SourceModel source = Model();
  WriteFileAtomically(source.checkpoint.directory() / "hf_quant_config.json",
                      R"({"quantization": {"kv_cache_quant_algo": "NVFP4"}})");
  EXPECT_THAT(Refusal(source, WithCache(KvCache::kNone, &dialects::kCompressedTensors)),
              HasSubstr("the source has an NVFP4 cache"));
  EXPECT_NO_THROW(MakePlan(source, WithCache(KvCache::kNone)));
  EXPECT_NO_THROW(MakePlan(source, WithCache(KvCache::kFp8, &dialects::kCompressedTensors)));
}

TEST_F(PlanKvCacheTest, CompressedTensorsScalesAreBf16BesideTheAttention) {
  const Plan plan = MakePlan(Model(), WithCache(KvCache::kFp8, &dialects::kCompressedTensors));
  const auto scales = KvScales(plan);
  EXPECT_THAT(scales, SizeIs(4));
  const auto found = scales.find(std::string(kAttention) + ".v_scale");
  ASSERT_NE(found, scales.end());
  EXPECT_EQ(found->second.dtype, DType::kBF16);
  EXPECT_THAT(found->second.shape, ElementsAre(1));
}

// One vector, two names: engines look for both.
TEST_F(PlanKvCacheTest, ALatentCacheHasItsScaleTwice) {
  const checkpoint::KvCacheEntry entry = {.layer = 0,
                                          .attention = kAttention,
                                          .observed = std::string(kAttention) + ".kv_cache",
                                          .beside = {},
                                          .keys = true,
                                          .values = true};
  const std::vector<dialects::TargetPart> parts =
      dialects::KvScaleParts(entry, dialects::kModelopt);
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[0].name, "model.layers.0.self_attn.k_proj.k_scale");
  EXPECT_EQ(parts[1].name, "model.layers.0.self_attn.v_proj.v_scale");
}

TEST_F(PlanKvCacheTest, CalibrationObservesTheCachesInTheirLayers) {
  const checkpoint::SourceModel source = Model();
  const Plan plan = MakePlan(source, WithCache(KvCache::kFp8));
  EXPECT_THAT(plan.observed_modules,
              AllOf(Contains("model.layers.0.self_attn.k_cache"),
                    Contains("model.layers.1.self_attn.v_cache"), SizeIs(6 + 4)));
  EXPECT_EQ(ObservedLayer(source.layout, plan, "model.layers.1.self_attn.v_cache"), 1);
  EXPECT_EQ(ObservedLayer(source.layout, plan, "model.layers.1.mlp.experts.0.up_proj"), 1);
}

TEST_F(PlanKvCacheTest, WeightsAloneAreCalibratedForTheirCache) {
  Recipe recipe = WithCache(KvCache::kFp8);
  recipe.activations = ActivationScales::kNone;
  EXPECT_TRUE(ObservesInputs(recipe));
  EXPECT_THAT(MakePlan(Model(), recipe).observed_modules, SizeIs(4));
  recipe.kv_cache = KvCache::kFp8Cast;
  EXPECT_FALSE(ObservesInputs(recipe));
}

// Engines take 1 for absent scales of a modelopt checkpoint; transformers leaves them
// uninitialised.
TEST_F(PlanKvCacheTest, CastScalesAreWrittenOnlyWhereNothingImpliesThem) {
  const checkpoint::SourceModel source = Model();
  for (const Dialect dialect : {&dialects::kModelopt, &dialects::kCompressedTensors}) {
    const Plan plan = MakePlan(source, WithCache(KvCache::kFp8Cast, dialect));
    EXPECT_THAT(KvScales(plan), SizeIs(dialect == &dialects::kModelopt ? 0 : 4));
    EXPECT_THAT(plan.observed_modules, SizeIs(6));
  }
}

TEST_F(PlanKvCacheTest, TheSourcesOwnScalesAreCarriedOrReplaced) {
  const checkpoint::SourceModel source = Model({.kv_scales = true});
  const auto carried = [&](const Plan& plan) {
    size_t count = 0;
    for (const OutputTensor& tensor : plan.shards.at(0).tensors) {
      count += tensor.part == OutputPart::kSourceBytes && tensor.info.name.ends_with("_scale");
    }
    return count;
  };
  const Plan none = MakePlan(source, WithCache(KvCache::kNone));
  EXPECT_EQ(carried(none), 2u);
  const Plan fp8 = MakePlan(source, WithCache(KvCache::kFp8));
  EXPECT_EQ(carried(fp8), 0u);
  EXPECT_THAT(KvScales(fp8), SizeIs(4));
  const Plan cast = MakePlan(source, WithCache(KvCache::kFp8Cast));
  EXPECT_EQ(carried(cast), 0u);
  EXPECT_THAT(KvScales(cast), IsEmpty());
  bool drop = false;
  for (const RoleSummary& row : SummarizePlan(source, cast).rows) drop |= row.action == "drop";
  EXPECT_TRUE(drop);
}

TEST_F(PlanKvCacheTest, AKeptNvfp4CheckpointCanGetACache) {
  const checkpoint::SourceModel source = Model({.format = HfFormat::kModelopt});
  Recipe recipe = WithCache(KvCache::kFp8);
  recipe.rules.clear();
  EXPECT_THAT(KvScales(MakePlan(source, recipe)), SizeIs(4));
  recipe.dialect = &dialects::kCompressedTensors;
  EXPECT_THAT(Refusal(source, recipe), HasSubstr("in modelopt convention"));
}

TEST_F(PlanKvCacheTest, AConfigMustBeAbleToSayIt) {
  Recipe recipe = WithCache(KvCache::kFp8Cast);
  recipe.rules.clear();
  EXPECT_THAT(Refusal(Model(), recipe),
              AllOf(HasSubstr("export.kv_cache \"fp8_cast\""), HasSubstr("nothing else is")));
  const checkpoint::SourceModel native = Model({.format = HfFormat::kNativeFp8});
  EXPECT_THAT(Refusal(native, recipe), HasSubstr("has no field for the cache"));
  recipe.rules = {NameRule("*", formats::kBf16)};
  EXPECT_THAT(Refusal(native, recipe), HasSubstr("nothing else is quantised"));
}

TEST_F(PlanKvCacheTest, DeepseekV4sCacheIsItsEnginesBusiness) {
  EXPECT_THAT(Refusal(vernier::testing::OpenTinyModel(), WithCache(KvCache::kFp8Cast)),
              HasSubstr("model_type \"deepseek_v4\""));
}

}  // namespace
}  // namespace vernier::recipes
