// What may change between two commands on one run directory, and what may not.
#include "run/run_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "run/sqlite.h"
#include "tests/support/hf_model.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::vernier::testing::TempDir;

using Change = std::function<void(recipes::Recipe&)>;

class RunIdentityTest : public ::testing::Test {
 protected:
  RunIdentityTest() {
    testing::WriteSyntheticDeepseekV4(dir_.path(), {.layers = 2});
    recipe_.rules = {{.roles = {checkpoint::Role::kRoutedExpert},
                      .name_glob = "",
                      .format = checkpoint::formats::kNvfp4}};
    recipe_.calibration.data.sources = {{.path = "/data/a.jsonl"}};
  }

  RunIdentity Identity(const recipes::Recipe& recipe) const {
    const checkpoint::SourceModel source = checkpoint::OpenSourceModel(dir_.path());
    return PlanIdentity(source, recipe, recipes::MakePlan(source, recipe));
  }

  std::vector<std::string> After(const Change& change) const {
    recipes::Recipe changed = recipe_;
    change(changed);
    return IdentityDifferences(Identity(recipe_), Identity(changed));
  }

  TempDir dir_;
  recipes::Recipe recipe_;
};

TEST_F(RunIdentityTest, AFinishedCalibrationKeepsItsArithmetic) {
  RunIdentity old = Identity(recipe_);
  old["numerics"] = "1";
  Store store = Store::Open(dir_.path() / "run");
  store.RequireIdentity(old);
  EXPECT_EQ(AsFinished(Identity(recipe_), store), Identity(recipe_)) << "it is not finished";
  store.FinishCalibration();
  EXPECT_EQ(AsFinished(Identity(recipe_), store), old);
}

// A store from before it, or without it, is one for the same statistics.
TEST_F(RunIdentityTest, OnlyACalibratedCacheIsObserved) {
  const checkpoint::SourceModel source = vernier::testing::MakeHfModel(dir_.path() / "hf");
  const auto identity = [&](recipes::KvCache kv_cache) {
    recipes::Recipe recipe = recipe_;
    recipe.kv_cache = kv_cache;
    return PlanIdentity(source, recipe, recipes::MakePlan(source, recipe));
  };
  EXPECT_EQ(identity(recipes::KvCache::kFp8Cast), identity(recipes::KvCache::kNone));
  EXPECT_THAT(
      IdentityDifferences(identity(recipes::KvCache::kNone), identity(recipes::KvCache::kFp8)),
      ElementsAre(HasSubstr("observed_modules: stored ")));
}

TEST_F(RunIdentityTest, EveryFieldOfTheCalibrationCounts) {
  const std::vector<std::pair<const char*, Change>> changes = {
      {"calibration.samples: stored 128, now 64",
       [](auto& recipe) { recipe.calibration.data.samples = 64; }},
      {"calibration.sequence_length: stored 512, now 64",
       [](auto& recipe) { recipe.calibration.data.sequence_length = 64; }},
      {"calibration.seed: stored 0, now 1", [](auto& recipe) { recipe.calibration.data.seed = 1; }},
      {"calibration.packing: stored pack, now truncate",
       [](auto& recipe) { recipe.calibration.data.packing = datasets::Packing::kTruncate; }},
      {"calibration.chat_format: stored auto, now chatml",
       [](auto& recipe) { recipe.calibration.data.chat_format = datasets::ChatFormat::kChatMl; }},
      {"calibration.dtype: stored bfloat16, now float32",
       [](auto& recipe) { recipe.calibration.dtype = recipes::ComputeDtype::kFloat32; }},
      {"calibration.all_experts: stored false, now true",
       [](auto& recipe) { recipe.calibration.all_experts = true; }},
      {"calibration.data.0.path: stored a.jsonl, now b.jsonl",
       [](auto& recipe) { recipe.calibration.data.sources[0].path = "/data/b.jsonl"; }},
      {"calibration.data.0.format: stored auto, now text",
       [](auto& recipe) {
         recipe.calibration.data.sources[0].format = datasets::SourceFormat::kText;
       }},
      {"calibration.data.0.weight: stored 1.0, now 2.0",
       [](auto& recipe) { recipe.calibration.data.sources[0].weight = 2; }},
      {"calibration.data.0.column: stored (nothing), now prompt",
       [](auto& recipe) { recipe.calibration.data.sources[0].column = "prompt"; }}};
  for (const auto& [text, change] : changes) EXPECT_THAT(After(change), ElementsAre(text));
}

// A job that has not chosen yet, or runs elsewhere than on a CPU, takes either.
TEST_F(RunIdentityTest, ProductsOfACpuAreKeptOnceChosen) {
  const auto with = [&](recipes::CpuProducts products, const char* device = "cpu") {
    recipes::Recipe recipe = recipe_;
    recipe.compute.cpu_products = products;
    recipe.compute.device = device;
    return Identity(recipe);
  };
  using recipes::CpuProducts;
  const RunIdentity bf16 = with(CpuProducts::kBf16);
  EXPECT_THAT(IdentityDifferences(bf16, with(CpuProducts::kF32)),
              ElementsAre("cpu_products: stored bf16, now f32"));
  EXPECT_THAT(IdentityDifferences(bf16, with(CpuProducts::kAuto)), IsEmpty());
  EXPECT_THAT(IdentityDifferences(bf16, with(CpuProducts::kF32, "cuda:0")), IsEmpty());
  EXPECT_THAT(IdentityDifferences(with(CpuProducts::kF32, "cuda:0"), bf16), IsEmpty());
}

TEST_F(RunIdentityTest, ASecondDataFileIsADifferenceInBothDirections) {
  const Change add = [](auto& recipe) {
    recipe.calibration.data.sources.push_back({.path = "b.jsonl"});
  };
  EXPECT_THAT(After(add), SizeIs(3));
  EXPECT_THAT(After(add)[1], "calibration.data.1.path: stored (nothing), now b.jsonl");
  recipes::Recipe longer = recipe_;
  add(longer);
  EXPECT_THAT(IdentityDifferences(Identity(longer), Identity(recipe_))[1],
              "calibration.data.1.path: stored b.jsonl, now (nothing)");
}

TEST_F(RunIdentityTest, OtherModulesAreRefused) {
  EXPECT_THAT(After([](auto& recipe) { recipe.rules[0].name_glob = "layers.0.*"; }),
              ElementsAre(HasSubstr("observed_modules: stored ")));
}

TEST_F(RunIdentityTest, AnotherSourceIsRefused) {
  const RunIdentity before = Identity(recipe_);
  testing::WriteSyntheticDeepseekV4(dir_.path(), {.layers = 2, .moe_width = 96});
  EXPECT_THAT(IdentityDifferences(before, Identity(recipe_)),
              ElementsAre(HasSubstr("source: stored ")));
}

TEST_F(RunIdentityTest, TheMachineTheOutputAndTheScalesMayChange) {
  const std::vector<Change> changes = {
      [](auto& recipe) { recipe.compute.device = "cuda:0"; },
      [](auto& recipe) { recipe.compute.device_memory = 1; },
      [](auto& recipe) { recipe.compute.host_memory = 1; },
      [](auto& recipe) { recipe.compute.stream_memory = 1; },
      [](auto& recipe) { recipe.compute.threads = 7; },
      [](auto& recipe) { recipe.calibration.batch_size = 4; },
      [](auto& recipe) { recipe.output = "elsewhere"; },
      [](auto& recipe) { recipe.run_dir = "elsewhere"; },
      [](auto& recipe) { recipe.description = "another text"; },
      [](auto& recipe) { recipe.calibration.data.sources[0].path = "/moved/a.jsonl"; }};
  for (size_t i = 0; i < changes.size(); ++i) EXPECT_THAT(After(changes[i]), IsEmpty()) << i;
  recipe_.rules[0].scale = recipes::ScaleMethod::kMse;
  EXPECT_THAT(After([](auto& recipe) { recipe.rules[0].scale = recipes::ScaleMethod::kMax; }),
              IsEmpty());
}

// A lossless cast needs no sums: those of half a calibration would be of half its tokens.
TEST_F(RunIdentityTest, SumsAreOfAWholeCalibration) {
  const Change search = [](auto& recipe) { recipe.rules[0].scale = recipes::ScaleMethod::kMse; };
  EXPECT_THAT(After(search), ElementsAre(HasSubstr("weighted_modules: stored ")));
  Store store = Store::Open(dir_.path() / "run");
  const RunIdentity lossless = Identity(recipe_);
  store.RequireIdentity(lossless);
  search(recipe_);
  EXPECT_EQ(AsFinished(Identity(recipe_), store), Identity(recipe_)) << "it is not finished";
  store.FinishCalibration();
  EXPECT_EQ(AsFinished(Identity(recipe_), store), lossless);

  // An older program's names none.
  Store older = Store::Open(dir_.path() / "older");
  RunIdentity without = lossless;
  without.erase("weighted_modules");
  older.RequireIdentity(without);
  older.FinishCalibration();
  EXPECT_EQ(AsFinished(Identity(recipe_), older), without);
}

TEST_F(RunIdentityTest, ConversionsDependOnNoCalibration) {
  recipe_.activations = recipes::ActivationScales::kConstant;
  EXPECT_THAT(Identity(recipe_), SizeIs(2));
  EXPECT_THAT(After([](auto& recipe) { recipe.calibration.data.seed = 1; }), IsEmpty());
}

TEST(IdentityDifferences, OnlyCalibrationKnowsTheTokens) {
  const RunIdentity stored = {{"source", "s"}, {"tokens", "t"}, {"tokenizer", "z"}};
  EXPECT_THAT(IdentityDifferences(stored, {{"source", "s"}}), IsEmpty());
  EXPECT_THAT(IdentityDifferences(stored, {{"source", "s"}, {"tokens", "u"}, {"tokenizer", "y"}}),
              ElementsAre("tokenizer: stored z, now y", "tokens: stored t, now u"));
  EXPECT_THAT(IdentityDifferences(stored, {{"tokens", "t"}}),
              ElementsAre("source: stored s, now (nothing)"));
}

TEST(IdentityDifferences, LongValuesAreCutWhereTheyPart) {
  const std::string zeros(60, '0');
  EXPECT_THAT(IdentityDifferences({{"a", zeros + "1234567890123456789"}}, {{"a", zeros + "2"}}),
              ElementsAre("a: stored ...0000123456789012..., now ...00002"));
  EXPECT_THAT(IdentityDifferences({{"a", "1" + zeros}}, {{"a", "2" + zeros}}),
              ElementsAre("a: stored 1000000000000000..., now 2000000000000000..."));
}

TEST(IdentityDifferences, AMergedStoreAllowsTheValuesOfItsParents) {
  const std::string one = "1", two = "2";
  const RunIdentity merged = {{"merged_from", "[]"},
                              {"dtype", "bfloat16"},
                              {"seed", MergeValues({&two, &one})},
                              {"second", MergeValues({nullptr, &one})}};
  EXPECT_EQ(merged.at("seed"), R"(["1","2"])");
  EXPECT_EQ(MergeValues({&one, &one}), "1");
  EXPECT_THAT(IdentityDifferences(merged, {{"dtype", "bfloat16"}, {"seed", "1"}}), IsEmpty());
  EXPECT_THAT(IdentityDifferences(merged, {{"dtype", "bfloat16"}, {"seed", "2"}, {"second", "1"}}),
              IsEmpty());
  EXPECT_THAT(IdentityDifferences(merged, {{"dtype", "float32"}, {"seed", "3"}}),
              ElementsAre(HasSubstr("dtype: "), HasSubstr("seed: ")));
}

}  // namespace
}  // namespace vernier::run
