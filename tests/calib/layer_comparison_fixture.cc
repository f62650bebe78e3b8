#include "tests/calib/layer_comparison_fixture.h"

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "calib/layertest/layer_test.h"
#include "tests/calib/loop_support.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::calib {

namespace fs = std::filesystem;

namespace {

void Convert(const fs::path& directory, const std::string& name,
             const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"convert", (directory / "source").string(),
                                  (directory / name).string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const testing::CommandResult result = testing::RunVernier(all);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
}

// Routed experts in coarse NVFP4, everything else in BF16.
void ConvertByRecipe(const fs::path& directory, const std::string& name, const std::string& dialect,
                     const Json& activations) {
  const Json recipe = {{"version", 1},
                       {"source", (directory / "source").string()},
                       {"output", (directory / name).string()},
                       {"activations", activations},
                       {"export", {{"dialect", dialect}}},
                       {"quantize",
                        {{{"name", "*"}, {"format", "bf16"}},
                         {{"role", "routed_expert"}, {"format", "nvfp4"}, {"scale", "max"}}}}};
  const fs::path file = directory / (name + ".json");
  WriteFileAtomically(file, recipe.dump());
  Convert(directory, name, {"--recipe", file.string()});
}

}  // namespace

void LayerComparisonTest::SetUpTestSuite() {
  dir_ = new testing::TempDir();
  testing::WriteSyntheticDeepseekV4(Path("source"), {.layers = 3, .experts = 6});
  const std::string scale = std::to_string(kInputScale);
  Convert(dir_->path(), "lossless", {"--input-scale", scale});
  Convert(dir_->path(), "coarse", {"--method", "max", "--input-scale", scale});
  ConvertByRecipe(dir_->path(), "packed", "compressed-tensors", kInputScale);
  ConvertByRecipe(dir_->path(), "weights-only", "modelopt", "none");
}

void LayerComparisonTest::TearDownTestSuite() {
  delete dir_;
  dir_ = nullptr;
}

LayerComparisonTest::LayerComparisonTest()
    : budget_{.batch_size = 3, .query_chunk = 16, .experts_per_group = 4},
      tokens_(RandomTokens(3, 40, 256)) {
  tokens_.lengths = {40, 7, 25};
}

LayerTestResult LayerComparisonTest::Test(const fs::path& quantized, int64_t layer) const {
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Path("source"));
  const checkpoint::SourceModel other = checkpoint::OpenSourceModel(quantized);
  const testing::TempDir scratch;
  Progress progress = Progress::Silent();
  return RunLayerTest({.source = source,
                       .quantized = other,
                       .layer = layer,
                       .compute = compute_,
                       .budget = budget_,
                       .tokens = tokens_,
                       .scratch_directory = scratch.path()},
                      progress);
}

void ForEachStage(const LayerTestResult& result,
                  const std::function<void(const std::string&, const StageErrors&)>& use) {
  for (const LinearResult& linear : result.linears) use(linear.module, linear.errors);
  for (const ExpertResult& expert : result.routed_experts) {
    use("expert " + std::to_string(expert.expert), expert.errors);
  }
  use("shared experts", result.shared_experts.value());
  use("ffn", result.ffn);
  use("behind attention", result.behind_attention);
  use("output", result.output);
}

const LinearResult& FindLinear(const LayerTestResult& result, const std::string& module) {
  return *std::ranges::find(result.linears, module, &LinearResult::module);
}

}  // namespace vernier::calib
