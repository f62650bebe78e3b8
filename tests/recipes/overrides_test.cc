#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::MinimalDocument;
using ::vernier::testing::Parse;

TEST(Overrides, ReplaceTheirFields) {
  Overrides overrides;
  overrides.source = "a/../models/in";
  overrides.output = "/out";
  overrides.run_dir = "run";
  overrides.device = "cuda";
  overrides.device_memory = "2GiB";
  overrides.host_memory = "0";
  overrides.samples = 3;
  overrides.sequence_length = 4;
  overrides.batch_size = 2;
  overrides.seed = 6;
  overrides.threads = 7;
  overrides.non_finite = "clamp";
  overrides.kv_cache = "fp8";
  Recipe recipe = Parse(MinimalDocument());
  recipe.compute.host_memory = 99;
  ApplyOverrides(overrides, recipe);
  EXPECT_EQ(recipe.source, "models/in");
  EXPECT_EQ(recipe.output, "/out");
  EXPECT_EQ(recipe.run_dir, "run");
  EXPECT_EQ(recipe.compute.device, "cuda");
  EXPECT_EQ(recipe.compute.device_memory, 2ull << 30);
  EXPECT_EQ(recipe.compute.host_memory, 0u);
  EXPECT_EQ(recipe.calibration.data.samples, 3);
  EXPECT_EQ(recipe.calibration.data.sequence_length, 4);
  EXPECT_EQ(recipe.calibration.batch_size, 2);
  EXPECT_EQ(recipe.calibration.data.seed, 6u);
  EXPECT_EQ(recipe.compute.threads, 7);
  EXPECT_EQ(recipe.non_finite, NonFinite::kClamp);
  EXPECT_EQ(recipe.kv_cache, KvCache::kFp8);
}

TEST(Overrides, ACalibratedCacheNeedsData) {
  Json document = MinimalDocument();
  document.erase("calibration");
  document["activations"] = "none";
  Recipe recipe = Parse(document);
  Overrides overrides;
  overrides.kv_cache = "fp8";
  EXPECT_THAT(ErrorOf(ErrorCode::kBadArgument, [&] { ApplyOverrides(overrides, recipe); }),
              AllOf(HasSubstr("--kv-cache fp8"), HasSubstr("no calibration data")));
  overrides.data = {"text.jsonl"};
  ApplyOverrides(overrides, recipe);
  EXPECT_TRUE(ObservesInputs(recipe));
}

TEST(Overrides, NothingGivenChangesNothing) {
  Recipe recipe = Parse(MinimalDocument());
  ApplyOverrides({}, recipe);
  EXPECT_EQ(recipe.source, "/recipes/in");
  EXPECT_EQ(recipe.calibration.data.samples, 128);
  EXPECT_EQ(recipe.compute.device, "cpu");
}

TEST(Overrides, AreCheckedLikeTheFields) {
  const auto error_of = [](const std::function<void(Overrides&)>& set) {
    Overrides overrides;
    set(overrides);
    Recipe recipe = Parse(MinimalDocument());
    return ErrorOf(ErrorCode::kBadArgument, [&] { ApplyOverrides(overrides, recipe); });
  };
  EXPECT_THAT(error_of([](auto& o) { o.samples = 0; }),
              AllOf(HasSubstr("--samples: 0 is out of range"), HasSubstr("at least 1")));
  EXPECT_THAT(error_of([](auto& o) { o.sequence_length = -5; }), HasSubstr("--sequence-length"));
  EXPECT_THAT(error_of([](auto& o) { o.batch_size = 100000; }), HasSubstr("at most 4096"));
  EXPECT_THAT(error_of([](auto& o) { o.threads = -1; }), HasSubstr("--threads"));
  EXPECT_THAT(error_of([](auto& o) { o.seed = ~uint64_t{0}; }), HasSubstr("--seed"));
  EXPECT_THAT(error_of([](auto& o) { o.device = "tpu"; }), HasSubstr("\"tpu\" is no device"));
  EXPECT_THAT(error_of([](auto& o) { o.device_memory = "lots"; }), HasSubstr("--device-memory"));
  EXPECT_THAT(error_of([](auto& o) { o.host_memory = "1 ZB"; }), HasSubstr("--host-memory"));
  EXPECT_THAT(error_of([](auto& o) { o.non_finite = "clip"; }),
              AllOf(HasSubstr("--non-finite"), HasSubstr("\"clip\"")));
  EXPECT_THAT(error_of([](auto& o) { o.kv_cache = "fp4"; }),
              AllOf(HasSubstr("--kv-cache"), HasSubstr("none, fp8, fp8_cast")));
  EXPECT_THAT(error_of([](auto& o) { o.source = ""; }), HasSubstr("--source: is empty"));
  EXPECT_THAT(error_of([](auto& o) { o.output = "/recipes/in"; }),
              HasSubstr("source and output are both /recipes/in"));
}

}  // namespace
}  // namespace vernier::recipes
