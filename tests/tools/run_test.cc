// The whole way from a recipe to a validated checkpoint, and what must not change its bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;

class RunTest : public ::testing::Test {
 protected:
  std::map<std::string, std::string> RunTo(const std::string& name,
                                           std::vector<std::string> options = {}) {
    const std::filesystem::path place = dir_.path() / name;
    std::filesystem::create_directories(place);
    std::vector<std::string> arguments = {"run", WriteRecipe(place, ExampleRecipe(place)),
                                          "--progress", "none"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    result_ = RunVernier(arguments);
    EXPECT_EQ(result_.exit_code, 0) << result_.errors << result_.output;
    return HashTree(place / "out");
  }

  TempDir dir_;
  CommandResult result_;
};

TEST_F(RunTest, MakesAValidatedCheckpointAndSaysSo) {
  const auto files = RunTo("plain");
  for (const char* file : {"config.json", "hf_quant_config.json", "model.safetensors.index.json",
                           "tokenizer.json", "model-00001-of-00002.safetensors",
                           "model-00002-of-00002.safetensors", "vernier_manifest.json"}) {
    EXPECT_TRUE(files.contains(file)) << file;
  }
  EXPECT_THAT(result_.output, HasSubstr("0 inexact"));
  EXPECT_THAT(result_.output, HasSubstr("vernier validate"));

  const Json manifest = ReadJsonFile(dir_.path() / "plain/out/vernier_manifest.json");
  const Json index =
      ReadJsonFile(dir_.path() / "plain/out/model.safetensors.index.json").at("weight_map");
  EXPECT_TRUE(index.contains("layers.0.ffn.experts.0.w1.input_scale"));
  EXPECT_TRUE(index.contains("mtp.0.ffn.experts.0.w1.scale")) << "MTP must be carried through";
}

TEST_F(RunTest, ReadyIdsNeedNoTokenizer) {
  const std::filesystem::path model =
      std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-llama";  // which has none
  ASSERT_FALSE(std::filesystem::exists(model / "tokenizer.json"));
  Json recipe = SyntheticRecipe(dir_.path(), model, /*vocab=*/64, /*samples=*/2,
                                /*sequence_length=*/32);
  recipe["quantize"] = {{{"role", "attention"}, {"format", "nvfp4"}}};
  const auto run = [&] {
    return RunVernier({"run", WriteRecipe(dir_.path(), recipe), "--progress", "none"});
  };
  const CommandResult ids = run();
  EXPECT_EQ(ids.exit_code, 0) << ids.errors;
  recipe["output"] = (dir_.path() / "other").string();
  recipe["run_dir"] = (dir_.path() / "other.run").string();
  WriteFileAtomically(dir_.path() / "ids.jsonl", "{\"text\": \"needs one\"}\n");
  const CommandResult text = run();
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.errors, HasSubstr("VN-DATA-001"));
  EXPECT_THAT(text.errors, HasSubstr("holds no tokenizer.json"));
}

TEST_F(RunTest, SaysWhereItsTimeWent) {
  RunTo("silent");
  for (const char* phase : {"time +calibrate", " export", " validate"}) {
    EXPECT_THAT(result_.output,
                ::testing::ContainsRegex(std::string(phase) +
                                         " .*s .forecast .*s., busy: .*processors [0-9]+ %"));
  }
  EXPECT_THAT(result_.output, ::testing::Not(HasSubstr("timing ")));
  RunTo("timed", {"--timings"});
  for (const char* stage : {"embedding", "dense weights", "dense", "experts", "finish", "commit"}) {
    EXPECT_THAT(result_.output, ::testing::ContainsRegex(std::string("timing +") + stage));
  }
}

TEST_F(RunTest, BytesDoNotDependOnThreadsOrBudgets) {
  const auto reference = RunTo("reference");
  EXPECT_EQ(RunTo("one-thread", {"--threads", "1"}), reference);
  EXPECT_EQ(RunTo("small-device", {"--device-memory", "48MiB"}), reference)
      << "experts in smaller groups";
  EXPECT_EQ(RunTo("spilled", {"--host-memory", "1MiB"}), reference) << "hidden states on disk";
}

TEST_F(RunTest, HeadroomRaisesEveryInputScale) {
  RunTo("plain");
  RunTo("roomy", {"--activation-headroom", "1.5"});
  const auto plain = checkpoint::Checkpoint::Open(dir_.path() / "plain/out");
  const auto roomy = checkpoint::Checkpoint::Open(dir_.path() / "roomy/out");
  const auto scale = [](const checkpoint::Checkpoint& output, const std::string& name) {
    float value = 0;
    std::ranges::copy(ReadTensor(output, name), reinterpret_cast<std::byte*>(&value));
    return value;
  };
  int64_t scales = 0;
  for (const checkpoint::TensorLocation& tensor : plain.tensors()) {
    const std::string& name = tensor.info.name;
    if (!name.ends_with(".input_scale")) continue;
    ++scales;
    EXPECT_FLOAT_EQ(scale(roomy, name), 1.5F * scale(plain, name)) << name;
  }
  EXPECT_GT(scales, 0);
}

TEST_F(RunTest, ExportWorksFromSavedStateAlone) {
  const auto reference = RunTo("job");
  const std::filesystem::path place = dir_.path() / "job";
  std::filesystem::remove_all(place / "out");
  const CommandResult result =
      RunVernier({"export", (place / "recipe.json").string(), "--progress", "json"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, ::testing::Not(HasSubstr("calibrate")));
  EXPECT_EQ(HashTree(place / "out"), reference);
}

TEST_F(RunTest, ExportWithoutCalibrationIsRefused) {
  const CommandResult result =
      RunVernier({"export", WriteRecipe(dir_.path(), ExampleRecipe(dir_.path()))});
  ExpectFailure(result, "VN-STORE-004");
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "out"));
}

TEST_F(RunTest, StoreOfAnotherRecipeIsRefused) {
  RunTo("job");
  Json recipe = ExampleRecipe(dir_.path() / "job");
  recipe["calibration"]["seed"] = 1;
  const CommandResult result = RunVernier({"run", WriteRecipe(dir_.path() / "job", recipe)});
  ExpectFailure(result, "VN-STORE-001", {"calibration"});
}

TEST_F(RunTest, AllExpertsLeavesNoFallback) {
  const std::filesystem::path place = dir_.path();
  Json recipe = ExampleRecipe(place);
  recipe["calibration"]["samples"] = 1;
  recipe["calibration"]["sequence_length"] = 16;
  const CommandResult few = RunVernier({"run", WriteRecipe(place, recipe)});
  ASSERT_EQ(few.exit_code, 0) << few.errors;
  EXPECT_THAT(few.output, ::testing::Not(HasSubstr("fallbacks    0 of")));

  recipe["calibration"]["all_experts"] = true;
  recipe["run_dir"] = (place / "run-all").string();
  recipe["output"] = (place / "out-all").string();
  const CommandResult all = RunVernier({"run", WriteRecipe(place, recipe)});
  ASSERT_EQ(all.exit_code, 0) << all.errors;
  EXPECT_THAT(all.output, HasSubstr("fallbacks    0 of"));
}

TEST_F(RunTest, TheFullRecipeQuantisesAttentionAndSharedExperts) {
  const std::string recipe =
      std::string(VERNIER_SOURCE_DIR) + "/recipes/deepseek-v4-nvfp4-full.json";
  Json full = ReadJsonFile(recipe, JsonComments::kAllow);
  Json mine = ExampleRecipe(dir_.path());
  mine["quantize"] = full.at("quantize");
  const CommandResult result = RunVernier({"run", WriteRecipe(dir_.path(), mine)});
  EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
  const Json index =
      ReadJsonFile(dir_.path() / "out/model.safetensors.index.json").at("weight_map");
  EXPECT_TRUE(index.contains("layers.0.attn.wo_a.weight_scale_2"));
  EXPECT_TRUE(index.contains("layers.0.ffn.shared_experts.w2.input_scale"));
  EXPECT_TRUE(index.contains("layers.2.attn.indexer.wq_b.scale")) << "the indexer stays FP8";
}

}  // namespace
}  // namespace vernier::testing
