// `vernier layertest` as a user runs it: table, JSON, data from a recipe or a file, and errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LayertestTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir();
    WriteSyntheticDeepseekV4(Path("source"), {.layers = 3, .experts = 4, .shards = 3});
    AddTokenizer(Path("source"));
    Convert("lossless", {});
    Convert("coarse", {"--method", "max"});
    recipe_ = WriteRecipe(dir_->path(), SyntheticRecipe(dir_->path(), Path("source"), 256, 4, 48));
    std::vector<int32_t> ids(3 * 20);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 37 % 256);
    WriteSafetensors(Path("ids.safetensors"),
                     {MakeTensor("input_ids", checkpoint::DType::kI32, {3, 20}, ids)});
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static fs::path Path(const std::string& name) { return dir_->path() / name; }

  static void Convert(const std::string& name, std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"convert", Path("source"), Path(name), "--input-scale", "0.01"});
    const CommandResult result = RunVernier(options);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  static CommandResult Run(const fs::path& quantized, std::vector<std::string> options) {
    options.insert(options.begin(), {"layertest", Path("source"), quantized, "--progress", "none"});
    return RunVernier(options);
  }

  static Json RunJson(const std::string& quantized, std::vector<std::string> options) {
    options.insert(options.end(), {"--json", "--recipe", recipe_});
    const CommandResult result = Run(Path(quantized), options);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return ParseJson(result.output, "layertest");
  }

  static inline TempDir* dir_ = nullptr;
  static inline std::string recipe_;
};

TEST_F(LayertestTest, ALosslessCastIsExactInTheJson) {
  const Json result = RunJson("lossless", {"--layer", "2"});
  EXPECT_EQ(result.at("layer"), 2);
  EXPECT_EQ(result.at("tokens"), 4 * 48);
  EXPECT_EQ(result.at("dominant"), "activations");
  EXPECT_TRUE(result.at("not_emulated").empty());
  const auto expect_exact = [](const Json& errors) {
    const Json& weights = errors.at("weights");
    EXPECT_EQ(weights.at("relative_error"), 0.0);
    EXPECT_EQ(weights.at("cosine"), 1.0);
    EXPECT_TRUE(weights.at("sqnr_db").is_null());
    EXPECT_EQ(weights.at("max_abs_error"), 0.0);
    EXPECT_GT(errors.at("activations").at("relative_error"), 0.0);
    EXPECT_GT(errors.at("both").at("sqnr_db"), 0.0);
  };
  for (const Json& linear : result.at("linears")) expect_exact(linear.at("errors"));
  for (const Json& expert : result.at("routed_experts")) expect_exact(expert.at("errors"));
  for (const char* stage : {"shared_experts", "ffn", "behind_attention", "output"}) {
    expect_exact(result.at(stage));
  }
  EXPECT_EQ(result.at("linears").front().at("module"), "layers.2.attn.wq_a");
}

TEST_F(LayertestTest, CoarseWeightsMakeAnErrorThatInputsAddTo) {
  const Json result = RunJson("coarse", {"--layer", "1", "--dtype", "float32"});
  for (const Json& expert : result.at("routed_experts")) {
    const double weights = expert.at("errors").at("weights").at("relative_error");
    const double both = expert.at("errors").at("both").at("relative_error");
    EXPECT_GT(weights, 0);
    EXPECT_GT(both, 0.9 * weights);
    // The two ways to say it agree.
    EXPECT_NEAR(expert.at("errors").at("both").at("sqnr_db"), -20 * std::log10(both), 1e-9);
  }
}

TEST_F(LayertestTest, TheTableNamesStagesAndTheVerdict) {
  const CommandResult result =
      Run(Path("lossless"), {"--layer", "0", "--input-ids", Path("ids.safetensors"), "--samples",
                             "2", "--out", Path("result.json")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(
      result.output,
      AllOf(HasSubstr("layer 0 of 3, 2 samples, 40 tokens"), HasSubstr("layers.0.attn.wq_a"),
            HasSubstr("routed experts, w2, mean of"), HasSubstr("worst: layers.0.ffn.experts."),
            HasSubstr("layer output"), HasSubstr("activations dominate")));
  EXPECT_EQ(ReadJsonFile(Path("result.json")).at("samples"), 2);
}

TEST_F(LayertestTest, WhatIsNotEmulatedIsSaid) {
  const CommandResult result =
      Run(Path("source"), {"--layer", "0", "--input-ids", Path("ids.safetensors")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("Not emulated: the activations of"));
}

TEST_F(LayertestTest, ErrorsAreOneLine) {
  ExpectOneLine(Run(Path("lossless"), {"--layer", "3", "--recipe", recipe_}), "VN-ARG-001",
                {"there is no layer 3 among 3"});
  ExpectOneLine(Run(Path("lossless"), {"--layer", "0"}), "VN-ARG-001", {"no calibration data"});
  ExpectOneLine(Run(Path("lossless"), {"--layer", "0", "--recipe", Path("none.json")}),
                "VN-FILE-001", {"none.json"});
  ExpectOneLine(Run(Path("none"), {"--layer", "0", "--recipe", recipe_}), "VN-CKPT-001", {"none"});
  ExpectOneLine(
      Run(Path("lossless"), {"--layer", "0", "--recipe", recipe_, "--device-memory", "1KiB"}),
      "VN-RECIPE-004", {"device_memory"});
  WriteSyntheticDeepseekV4(Path("other"), {.layers = 3, .experts = 8});
  ExpectOneLine(Run(Path("other"), {"--layer", "0", "--recipe", recipe_}), "VN-ARG-001",
                {"number of routed experts is 8, not 4"});
}

// The last layer of 4 and of 16.
TEST_F(LayertestTest, MemoryDoesNotGrowWithTheModel) {
  const auto peak = [](int64_t layers) {
    const std::string name = "deep-" + std::to_string(layers);
    WriteSyntheticDeepseekV4(Path(name), {.layers = layers,
                                          .experts = 24,
                                          .hidden = 512,
                                          .moe_width = 512,
                                          .vocab = 1024,
                                          .shards = 4});
    const CommandResult result = RunVernier(
        {"layertest", Path(name), Path(name), "--layer", std::to_string(layers - 1), "--input-ids",
         Path("ids.safetensors"), "--device-memory", "256MiB", "--progress", "none"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    fs::remove_all(Path(name));
    return result.peak_bytes;
  };
  const uint64_t small = peak(4), large = peak(16);
  EXPECT_LT(static_cast<double>(large), 1.10 * static_cast<double>(small))
      << small << " bytes with 4 layers, " << large << " with 16";
}

}  // namespace
}  // namespace vernier::testing
