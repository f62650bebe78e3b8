#include "recipes/recipe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "recipes/plan.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

using ::vernier::testing::DocumentWith;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::MinimalDocument;
using ::vernier::testing::Parse;

TEST(Recipe, ReadsEveryFieldOfAnAnnotatedRecipe) {
  const Recipe recipe = ParseRecipe(R"(// a comment
    {
      "version": 1, /* another */ "description": "all of it",
      "source": "in", "output": "../out", "run_dir": "/abs/run",
      "calibration": {
        "data": [{"path": "a.txt", "format": "text", "weight": 2.5}, {"path": "/b"},
                 {"path": "c.parquet", "format": "parquet", "column": "prompt"}],
        "samples": 7, "sequence_length": 99, "packing": "truncate", "chat_format": "chatml",
        "seed": 9007199254740991, "dtype": "float32", "batch_size": 3, "all_experts": true
      },
      "quantize": [
        {"role": "attention", "name": "layers.1.*", "format": "nvfp4", "scale": "max"},
        {"role": ["router", "norm"], "format": "bf16"},
        {"name": "*", "format": "keep"}
      ],
      "compute": {"device": "cuda:1", "device_memory": "1.5GiB", "host_memory": 12, "threads": 5},
      "activations": 0.5, "importance": "weights.safetensors",
      "non_finite": "clamp",
      "export": {"dialect": "compressed-tensors", "kv_cache": "fp8"}
    })",
                                    "/home/recipes/r.json");
  EXPECT_EQ(recipe.origin, "/home/recipes/r.json");
  EXPECT_EQ(recipe.description, "all of it");
  EXPECT_EQ(recipe.source, "/home/recipes/in");
  EXPECT_EQ(recipe.output, "/home/out");
  EXPECT_EQ(recipe.run_dir, "/abs/run");

  const datasets::CalibrationSpec& data = recipe.calibration.data;
  ASSERT_EQ(data.sources.size(), 3u);
  EXPECT_EQ(data.sources[0].path, "/home/recipes/a.txt");
  EXPECT_EQ(data.sources[0].format, datasets::SourceFormat::kText);
  EXPECT_EQ(data.sources[0].weight, 2.5);
  EXPECT_EQ(data.sources[1].path, "/b");
  EXPECT_EQ(data.sources[1].format, datasets::SourceFormat::kAuto);
  EXPECT_EQ(data.sources[1].column, "");
  EXPECT_EQ(data.sources[2].format, datasets::SourceFormat::kParquet);
  EXPECT_EQ(data.sources[2].column, "prompt");
  EXPECT_EQ(data.samples, 7);
  EXPECT_EQ(data.sequence_length, 99);
  EXPECT_EQ(data.packing, datasets::Packing::kTruncate);
  EXPECT_EQ(data.chat_format, datasets::ChatFormat::kChatMl);
  EXPECT_EQ(data.seed, 9007199254740991u);
  EXPECT_EQ(recipe.calibration.dtype, ComputeDtype::kFloat32);
  EXPECT_EQ(recipe.calibration.batch_size, 3);
  EXPECT_TRUE(recipe.calibration.all_experts);

  ASSERT_EQ(recipe.rules.size(), 3u);
  EXPECT_EQ(recipe.rules[0].Describe(), "role attention name \"layers.1.*\" -> nvfp4 (max)");
  EXPECT_EQ(recipe.rules[1].Describe(), "role router, norm -> bf16");
  EXPECT_EQ(recipe.rules[2].Describe(), "name \"*\" -> keep");
  EXPECT_EQ(recipe.compute.device, "cuda:1");
  EXPECT_EQ(recipe.compute.device_memory.bytes, 1536ull << 20);
  EXPECT_EQ(recipe.compute.host_memory.bytes, 12u);
  EXPECT_EQ(recipe.compute.threads, 5);
  EXPECT_EQ(recipe.dialect, &dialects::kCompressedTensors);
  EXPECT_EQ(recipe.kv_cache, KvCache::kFp8);
  EXPECT_EQ(recipe.activations, ActivationScales::kConstant);
  EXPECT_EQ(recipe.constant_input_scale, 0.5f);
  EXPECT_EQ(recipe.importance, "/home/recipes/weights.safetensors");
  EXPECT_EQ(recipe.non_finite, NonFinite::kClamp);
}

TEST(Recipe, LoadsAFileAndTakesItsDirectoryAsBase) {
  const vernier::testing::TempDir directory;
  const std::filesystem::path path = directory.path() / "r.json";
  WriteFileAtomically(path, MinimalDocument().dump());
  EXPECT_EQ(LoadRecipe(path).source, directory.path() / "in");
  const std::string message =
      ErrorOf(ErrorCode::kFileOpen, [&] { LoadRecipe(directory.path() / "absent.json"); });
  EXPECT_NE(message.find("absent.json"), std::string::npos);
}

TEST(Recipe, NeedsCalibrationOnlyForObservedInputs) {
  Json document = MinimalDocument();
  document.erase("calibration");
  document.erase("run_dir");
  document["activations"] = "none";
  EXPECT_EQ(Parse(document).activations, ActivationScales::kNone);
  EXPECT_EQ(Parse(document).run_dir, "/recipes/out.run");
  document["activations"] = 1.0;
  EXPECT_EQ(Parse(document).activations, ActivationScales::kConstant);
  document.erase("activations");
  for (const char* format : {"bf16", "mxfp4", "mxfp8", "fp8_channel", "fp8_block", "keep"}) {
    document["quantize"][0]["format"] = format;
    EXPECT_EQ(Parse(document).run_dir, "/recipes/out.run") << format;
  }
}

TEST(Recipe, ACalibratedCacheNeedsCalibrationWhateverTheWeights) {
  Json document = MinimalDocument();
  document["activations"] = "none";
  document["export"]["kv_cache"] = "fp8";
  EXPECT_TRUE(ObservesInputs(Parse(document)));
  document.erase("calibration");
  const std::string message = ErrorOf(ErrorCode::kBadRecipe, [&] { Parse(document); });
  EXPECT_NE(message.find("export.kv_cache \"fp8\" is calibrated"), std::string::npos) << message;
  document["export"]["kv_cache"] = "fp8_cast";
  EXPECT_FALSE(ObservesInputs(Parse(document)));
}

TEST(Recipe, TheDefaultRunDirectoryFollowsTheOutput) {
  Json document = MinimalDocument();
  document.erase("run_dir");
  document["output"] = "out/";
  Recipe recipe = Parse(document);
  EXPECT_EQ(recipe.run_dir, "/recipes/out.run");
  const Override elsewhere = {"/output", "/elsewhere"};
  ApplyOverrides({elsewhere}, recipe);
  EXPECT_EQ(recipe.run_dir, "/elsewhere.run");
  ApplyOverrides({elsewhere, {"/run_dir", "/state"}}, recipe);
  EXPECT_EQ(recipe.run_dir, "/state");

  recipe = Parse(MinimalDocument());
  ApplyOverrides({elsewhere}, recipe);
  EXPECT_EQ(recipe.run_dir, "/recipes/run");
}

TEST(CalibrationIdentityTest, ChangesWithWhatStatisticsDependOn) {
  const std::string base = CalibrationIdentity(Parse(MinimalDocument())).dump();
  const std::pair<const char*, Json> changes[] = {{"/calibration/data/0/path", "other.jsonl"},
                                                  {"/calibration/data/0/format", "text"},
                                                  {"/calibration/data/0/weight", 2},
                                                  {"/calibration/samples", 5},
                                                  {"/calibration/sequence_length", 5},
                                                  {"/calibration/packing", "truncate"},
                                                  {"/calibration/chat_format", "chatml"},
                                                  {"/calibration/seed", 5},
                                                  {"/calibration/dtype", "float32"},
                                                  {"/calibration/all_experts", true},
                                                  {"/non_finite", "clamp"}};
  for (const auto& [pointer, value] : changes) {
    EXPECT_NE(CalibrationIdentity(Parse(DocumentWith(pointer, value))).dump(), base) << pointer;
  }
}

TEST(CalibrationIdentityTest, IgnoresTheMachineAndTheOutput) {
  const std::string base = CalibrationIdentity(Parse(MinimalDocument())).dump();
  const std::pair<const char*, Json> changes[] = {
      {"/compute/device", "cuda:0"}, {"/compute/device_memory", "1GiB"},
      {"/compute/threads", 3},       {"/calibration/batch_size", 4},
      {"/non_finite", "stop"},       {"/output", "elsewhere"},
      {"/export/kv_cache", "none"}};
  for (const auto& [pointer, value] : changes) {
    EXPECT_EQ(CalibrationIdentity(Parse(DocumentWith(pointer, value))).dump(), base) << pointer;
  }
}

}  // namespace
}  // namespace vernier::recipes
