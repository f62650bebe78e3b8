#include "recipes/overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  const Overrides overrides = {{"/source", "a/../models/in", "--source"},
                               {"/output", "/out", "--output"},
                               {"/run_dir", "run", "--run-dir"},
                               {"/compute/device", "cuda", "--device"},
                               {"/compute/device_memory", "2GiB", "--device-memory"},
                               {"/compute/host_memory", "0", "--host-memory"},
                               {"/calibration/samples", 3, "--samples"},
                               {"/calibration/sequence_length", 4, "--sequence-length"},
                               {"/calibration/batch_size", 2, "--batch-size"},
                               {"/calibration/seed", 6, "--seed"},
                               {"/compute/threads", 7, "--threads"},
                               {"/non_finite", "clamp", "--non-finite"},
                               {"/export/kv_cache", "fp8", "--kv-cache"}};
  Recipe recipe = Parse(MinimalDocument());
  recipe.compute.host_memory = 99;
  ApplyOverrides(overrides, recipe);
  EXPECT_EQ(recipe.source, "models/in");
  EXPECT_EQ(recipe.output, "/out");
  EXPECT_EQ(recipe.run_dir, "run");
  EXPECT_EQ(recipe.compute.device, "cuda");
  EXPECT_EQ(recipe.compute.device_memory.bytes, 2ull << 30);
  EXPECT_EQ(recipe.compute.host_memory, MemoryBound());
  ApplyOverrides({{"/compute/device_memory", "70%", "--device-memory"}}, recipe);
  EXPECT_EQ(recipe.compute.device_memory, MemoryBound::Share(70));
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
  Overrides overrides = {{"/export/kv_cache", "fp8", "--kv-cache"}};
  EXPECT_THAT(ErrorOf(ErrorCode::kBadArgument, [&] { ApplyOverrides(overrides, recipe); }),
              AllOf(HasSubstr("--kv-cache fp8"), HasSubstr("no calibration data")));
  overrides.push_back({"/calibration/data/*/path", {"text.jsonl"}, "--data"});
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
  const auto error_of = [](const Override& given) {
    Recipe recipe = Parse(MinimalDocument());
    return ErrorOf(ErrorCode::kBadArgument, [&] { ApplyOverrides({given}, recipe); });
  };
  EXPECT_THAT(error_of({"/calibration/samples", 0, "--samples"}),
              AllOf(HasSubstr("--samples: 0 is out of range"), HasSubstr("at least 1")));
  EXPECT_THAT(error_of({"/calibration/sequence_length", -5, "--sequence-length"}),
              HasSubstr("--sequence-length"));
  EXPECT_THAT(error_of({"/calibration/batch_size", 100000, "--batch-size"}),
              HasSubstr("at most 4096"));
  EXPECT_THAT(error_of({"/compute/threads", -1, "--threads"}), HasSubstr("--threads"));
  EXPECT_THAT(error_of({"/calibration/seed", ~uint64_t{0}, "--seed"}), HasSubstr("--seed"));
  EXPECT_THAT(error_of({"/compute/device", "tpu", "--device"}), HasSubstr("\"tpu\" is no device"));
  EXPECT_THAT(error_of({"/compute/device_memory", "lots", "--device-memory"}),
              HasSubstr("--device-memory"));
  EXPECT_THAT(error_of({"/compute/host_memory", "1 ZB", "--host-memory"}),
              HasSubstr("--host-memory"));
  EXPECT_THAT(error_of({"/non_finite", "clip", "--non-finite"}),
              AllOf(HasSubstr("--non-finite"), HasSubstr("\"clip\"")));
  EXPECT_THAT(error_of({"/export/kv_cache", "fp4", "--kv-cache"}),
              AllOf(HasSubstr("--kv-cache"), HasSubstr("none, fp8, fp8_cast")));
  EXPECT_THAT(error_of({"/source", "", "--source"}), HasSubstr("--source: is empty"));
  EXPECT_THAT(error_of({"/output", "/recipes/in", "--output"}),
              HasSubstr("source and output are both /recipes/in"));
}

}  // namespace
}  // namespace vernier::recipes
