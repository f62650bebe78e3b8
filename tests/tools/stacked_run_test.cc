// A model whose experts lie in one tensor a layer, from recipe to checkpoint: calibrated, folded,
// solved and exported it becomes what the same model with single experts becomes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/stacked_model.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kVocabulary = 512;

class StackedRunTest : public ::testing::TestWithParam<const char*> {
 protected:
  StackedRunTest() {
    apart_ = CopyTestModel(dir_.path(), "tiny-qwen3-moe");
    StackExperts(Apart(), Stacked(), {});
    AddTokenizer(Stacked());
  }

  const std::filesystem::path& Apart() const { return apart_; }
  std::filesystem::path Stacked() const { return dir_.path() / "stacked"; }

  std::string RecipeFor(const std::string& name, const std::filesystem::path& source) const {
    const std::filesystem::path place = dir_.path() / name;
    std::filesystem::create_directories(place);
    Json recipe = SyntheticRecipe(place, source, kVocabulary, /*samples=*/8,
                                  /*sequence_length=*/64);
    recipe["effort"] = GetParam();
    recipe["quantize"] = {{{"role", {"attention", "routed_expert"}}, {"format", "nvfp4"}}};
    return WriteRecipe(place, recipe);
  }

  CommandResult Run(const std::string& recipe, const CommandOptions& options = {}) {
    return RunVernier({"run", recipe, "--progress", "json"}, options);
  }

  TempDir dir_;

 private:
  std::filesystem::path apart_;
};

void ExpectEqualTensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  const checkpoint::Checkpoint actual = checkpoint::Checkpoint::Open(a);
  const checkpoint::Checkpoint expected = checkpoint::Checkpoint::Open(b);
  EXPECT_EQ(actual.tensors().size(), expected.tensors().size());
  for (const checkpoint::TensorLocation& location : expected.tensors()) {
    const std::string& name = location.info.name;
    ASSERT_NE(actual.Find(name), checkpoint::Checkpoint::kNotFound) << name;
    EXPECT_EQ(ReadTensor(actual, name), ReadTensor(expected, name)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Efforts, StackedRunTest, ::testing::Values("balanced", "best"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(StackedRunTest, TensorsAreThoseOfSingleExperts) {
  const CommandResult apart = Run(RecipeFor("apart-run", Apart()));
  ASSERT_EQ(apart.exit_code, 0) << apart.errors;
  const CommandResult stacked = Run(RecipeFor("stacked-run", Stacked()));
  ASSERT_EQ(stacked.exit_code, 0) << stacked.errors;
  ExpectEqualTensors(dir_.path() / "stacked-run/out", dir_.path() / "apart-run/out");
  // Experts are compared one by one, though only the source has them stacked.
  const CommandResult audit = RunVernier(
      {"validate", (dir_.path() / "stacked-run/out").string(), "--source", Stacked().string()});
  EXPECT_EQ(audit.exit_code, 0) << audit.output;
  EXPECT_THAT(audit.output, ::testing::Not(HasSubstr("not compared")));
}

// Killed while it calibrates and while it exports, it goes on.
TEST_P(StackedRunTest, IsResumed) {
  const CommandResult undisturbed = Run(RecipeFor("whole", Stacked()));
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  const std::string recipe = RecipeFor("killed", Stacked());
  Run(recipe, {.kill_when = Past("calibrate", 0.5)});
  Run(recipe, {.kill_when = Past("export", 0.3)});
  const CommandResult last = Run(recipe);
  ASSERT_EQ(last.exit_code, 0) << last.errors;
  EXPECT_EQ(HashTree(dir_.path() / "killed/out"), HashTree(dir_.path() / "whole/out"));
}

// Both have stacks, of other formats: an audit compares their experts.
TEST(StackedSource, ADequantisedStackIsMeasured) {
  const TempDir dir;
  const std::filesystem::path apart = CopyTestModel(dir.path(), "tiny-qwen3-moe");
  const auto place = [&](const char* name) { return (dir.path() / name).string(); };
  const auto run = [](const std::vector<std::string>& arguments) {
    const CommandResult result = RunVernier(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  };
  run({"convert", apart.string(), place("fp8"), "--weights", "fp8_channel", "--dialect",
       "compressed-tensors"});
  StackExperts(place("fp8"), place("stacked"), {});
  Json config = ReadJsonFile(place("stacked/config.json"));
  config["model_type"] = "qwen3_5_moe";  // which has stacks
  WriteFileAtomically(place("stacked/config.json"), config.dump());
  run({"dequantize", place("stacked"), place("out")});
  const std::vector<std::string> validate = {"validate", place("out"), "--source",
                                             place("stacked")};
  const CommandResult audit = RunVernier(validate);
  EXPECT_EQ(audit.exit_code, 0) << audit.output;
  EXPECT_THAT(audit.output, HasSubstr("routed_expert           4"));
  EXPECT_THAT(audit.output, ::testing::Not(HasSubstr("not measured")));
  const std::byte large{0x7E};  // of a BF16 value's high half
  Overwrite(place("out"), "model.layers.2.mlp.experts.down_proj", 4001, std::span(&large, 1));
  const CommandResult changed = RunVernier(validate);
  EXPECT_EQ(changed.exit_code, 1);
  EXPECT_THAT(changed.output, HasSubstr("V12"));
  EXPECT_THAT(changed.output, HasSubstr("model.layers.2.mlp.experts.down_proj (relative error"));
}

}  // namespace
}  // namespace vernier::testing
