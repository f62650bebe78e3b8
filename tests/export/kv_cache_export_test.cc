// Scales of the key/value cache, and input scales of fused FP8 weights: what depends on which
// statistics.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/progress.h"
#include "checkpoint/numbers.h"
#include "export/exporter.h"
#include "recipes/convert_recipe.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_model.h"

namespace vernier::exporter {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Format;
using recipes::ActivationScales;
using recipes::Dialect;
using recipes::KvCache;
namespace formats = checkpoint::formats;

constexpr const char* kAttention = "model.layers.0.self_attn";

class KvCacheExportTest : public ::testing::Test {
 protected:
  // All linear weights in `format`.
  recipes::Recipe RecipeFor(Format format, KvCache kv_cache,
                            ActivationScales activations = ActivationScales::kCalibrated) const {
    recipes::Recipe recipe = recipes::ConvertRecipe(
        {.source = source_, .output = Output(), .weights = format, .activations = activations});
    recipe.kv_cache = kv_cache;
    return recipe;
  }

  // A different amax for everything that the plan observes.
  std::vector<run::InputAmax> MadeUp(const recipes::Recipe& recipe) const {
    std::vector<run::InputAmax> inputs;
    for (const std::string& module : recipes::MakePlan(source_, recipe).observed_modules) {
      const auto number = static_cast<float>(inputs.size() + 1);
      inputs.push_back({.module = module, .layer = 0, .amax = 0.37f * number, .tokens = 100});
    }
    return inputs;
  }

  ExportSummary Export(const recipes::Recipe& recipe, std::vector<run::InputAmax> inputs) {
    const recipes::Plan plan = recipes::MakePlan(source_, recipe);
    run::Store store = run::Store::Open(directory_.path() / "run");
    if (!store.CalibrationFinished()) store.FinishCalibration();
    Progress progress = Progress::Silent();
    return exporter::Export({.source = source_,
                             .plan = plan,
                             .recipe = recipe,
                             .inputs = std::move(inputs),
                             .store = store,
                             .output = Output(),
                             .settings = {},
                             .progress = progress});
  }

  float Scale(const std::string& tensor) const {
    const Checkpoint output = Checkpoint::Open(Output());
    const std::vector<std::byte> bytes = ReadTensor(output, tensor);
    return checkpoint::NumberFromBytes(bytes, output.tensor(output.Find(tensor)).info.dtype);
  }

  static float Amax(const std::vector<run::InputAmax>& inputs, const std::string& module) {
    for (const run::InputAmax& input : inputs) {
      if (input.module == module) return input.amax;
    }
    ADD_FAILURE() << module << " is not observed";
    return 0;
  }

  std::filesystem::path Output() const { return directory_.path() / "out"; }

  testing::TempDir directory_;
  checkpoint::SourceModel source_ =
      testing::MakeHfModel(directory_.path() / "source", {.kv_scales = true});
};

TEST_F(KvCacheExportTest, ScalesAreTheAmaxOfKeysAndValuesOver448) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8);
  const std::vector<run::InputAmax> inputs = MadeUp(recipe);
  const ExportSummary summary = Export(recipe, inputs);
  EXPECT_EQ(summary.kv_scales.size(), 4u);
  EXPECT_EQ(summary.dropped_tensors, 2);  // the source's own
  for (const std::string attention : {"model.layers.0.self_attn", "model.layers.1.self_attn"}) {
    EXPECT_EQ(Scale(attention + ".k_proj.k_scale"), Amax(inputs, attention + ".k_cache") / 448.0f);
    EXPECT_EQ(Scale(attention + ".v_proj.v_scale"), Amax(inputs, attention + ".v_cache") / 448.0f);
  }
}

TEST_F(KvCacheExportTest, CompressedTensorsRoundsThemToBf16) {
  recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8);
  recipe.dialect = &dialects::kCompressedTensors;
  const std::vector<run::InputAmax> inputs = MadeUp(recipe);
  Export(recipe, inputs);
  const float exact = Amax(inputs, std::string(kAttention) + ".k_cache") / 448.0f;
  EXPECT_EQ(Scale(std::string(kAttention) + ".k_scale"),
            checkpoint::RoundNumber(exact, checkpoint::DType::kBF16));
}

TEST_F(KvCacheExportTest, CastScalesAreOneAndNeedNoStatistics) {
  recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8Cast, ActivationScales::kNone);
  Export(recipe, {});
  EXPECT_EQ(Checkpoint::Open(Output()).Find(std::string(kAttention) + ".k_proj.k_scale"),
            Checkpoint::kNotFound);
  std::filesystem::remove_all(Output());
  recipe.dialect = &dialects::kCompressedTensors;
  Export(recipe, {});
  EXPECT_EQ(Scale(std::string(kAttention) + ".v_scale"), 1.0f);
}

TEST_F(KvCacheExportTest, WeightsAloneMayHaveACalibratedCache) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8, ActivationScales::kNone);
  const ExportSummary summary = Export(recipe, MadeUp(recipe));
  EXPECT_EQ(Scale(std::string(kAttention) + ".k_proj.k_scale"), 0.37f / 448.0f);
  EXPECT_TRUE(summary.fallbacks.empty());
}

TEST_F(KvCacheExportTest, ACacheOfZerosHasTheScaleOne) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8);
  std::vector<run::InputAmax> inputs = MadeUp(recipe);
  for (run::InputAmax& input : inputs) {
    if (input.module == std::string(kAttention) + ".v_cache") input.amax = 0;
  }
  Export(recipe, inputs);
  EXPECT_EQ(Scale(std::string(kAttention) + ".v_proj.v_scale"), 1.0f);
}

TEST_F(KvCacheExportTest, ACacheWithoutStatisticsIsAnError) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8);
  const std::string cache = std::string(kAttention) + ".k_cache";
  std::vector<run::InputAmax> inputs = MadeUp(recipe);
  for (run::InputAmax& input : inputs) {
    if (input.module == cache) input.tokens = 0;
  }
  EXPECT_VERNIER_ERROR(Export(recipe, inputs), ErrorCode::kNotCalibrated, cache);
  std::erase_if(inputs, [&](const run::InputAmax& input) { return input.module == cache; });
  EXPECT_VERNIER_ERROR(Export(recipe, inputs), ErrorCode::kNotCalibrated, cache);
}

TEST_F(KvCacheExportTest, OtherScalesAreAnotherOutput) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8);
  std::vector<run::InputAmax> inputs = MadeUp(recipe);
  const std::string hash = Export(recipe, inputs).plan_hash;
  std::filesystem::remove_all(Output());
  for (run::InputAmax& input : inputs) {
    if (input.module.ends_with(".k_cache")) input.amax *= 2;
  }
  EXPECT_NE(Export(recipe, inputs).plan_hash, hash);
}

TEST_F(KvCacheExportTest, TheManifestSaysWhatBecameOfTheCache) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kFp8);
  const std::vector<run::InputAmax> inputs = MadeUp(recipe);
  Export(recipe, inputs);
  const Json manifest = ReadJsonFile(Output() / "vernier_manifest.json");
  EXPECT_EQ(manifest["recipe"]["kv_cache"], "fp8");
  ASSERT_EQ(manifest["kv_scales"].size(), 4u);
  const Json& keys = manifest["kv_scales"][0];
  const std::string attention = kAttention;
  EXPECT_EQ(keys["cache"], attention + ".k_cache");
  EXPECT_EQ(keys["tensors"], Json::array({attention + ".k_proj.k_scale"}));
  EXPECT_EQ(keys["amax"], Amax(inputs, attention + ".k_cache"));
  EXPECT_EQ(keys["scale"], Amax(inputs, attention + ".k_cache") / 448.0f);
  EXPECT_EQ(keys["tokens"], 100);
  for (const Json& tensor : manifest["tensors"]) {
    if (tensor["name"] == attention + ".k_proj.weight") {
      EXPECT_EQ(tensor["outputs"].size(), 4u) << "the cache's scale is no part of the weight";
    }
    if (tensor["name"] != attention + ".k_proj.k_scale") continue;
    EXPECT_EQ(tensor["action"], "dropped");
    EXPECT_EQ(tensor["by"], "kv_cache fp8");
  }
}

// ModelOpt's exports share the scale of the input alone (tests/data/peers/README.md), and engines
// then round the weights again.
TEST_F(KvCacheExportTest, FusedFp8WeightsShareBothScales) {
  const recipes::Recipe recipe = RecipeFor(formats::kFp8Tensor, KvCache::kNone);
  const recipes::Plan plan = recipes::MakePlan(source_, recipe);
  EXPECT_EQ(
      plan.weights[source_.layout.by_module.at(std::string(kAttention) + ".q_proj")].scale_group,
      plan.weights[source_.layout.by_module.at(std::string(kAttention) + ".k_proj")].scale_group);
  const std::vector<run::InputAmax> inputs = MadeUp(recipe);
  Export(recipe, inputs);
  const std::vector<std::vector<std::string>> fused = {
      {"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj",
       "model.layers.0.self_attn.v_proj"},
      {"model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj"},
      {"model.layers.1.mlp.experts.1.gate_proj", "model.layers.1.mlp.experts.1.up_proj"}};
  for (const std::vector<std::string>& group : fused) {
    float amax = 0;
    for (const std::string& module : group) amax = std::max(amax, Amax(inputs, module));
    for (const std::string& module : group) {
      EXPECT_EQ(Scale(module + ".input_scale"), amax / 448.0f) << module;
      EXPECT_EQ(Scale(module + ".weight_scale"), Scale(group[0] + ".weight_scale")) << module;
    }
  }
  EXPECT_EQ(Scale("model.layers.0.self_attn.o_proj.input_scale"),
            Amax(inputs, "model.layers.0.self_attn.o_proj") / 448.0f);
}

TEST_F(KvCacheExportTest, FusedNvfp4WeightsShareBothScales) {
  const recipes::Recipe recipe = RecipeFor(formats::kNvfp4, KvCache::kNone);
  const std::vector<run::InputAmax> inputs = MadeUp(recipe);
  Export(recipe, inputs);
  float amax = 0;
  for (const char* leaf : {".q_proj", ".k_proj", ".v_proj"}) {
    amax = std::max(amax, Amax(inputs, std::string(kAttention) + leaf));
  }
  for (const char* leaf : {".q_proj", ".k_proj", ".v_proj"}) {
    EXPECT_EQ(Scale(kAttention + std::string(leaf) + ".input_scale"), amax / 2688.0f);
  }
}

}  // namespace
}  // namespace vernier::exporter
