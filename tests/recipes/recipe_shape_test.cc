// Recipes that claim to make what others publish. NVIDIA's against the quantizers that NVIDIA's own
// recipes (ModelOpt 0.48.0rc1, modelopt_recipes/) turn on and off: the same modules in the same
// formats, with quantised inputs where theirs are, and the same cache.
#include <fnmatch.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "recipes/plan.h"
#include "recipes/shipped.h"
#include "tests/recipes/skeleton_model.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

namespace fs = std::filesystem;

// The last that matches a quantizer's name decides. No format: off.
struct Quantizer {
  const char* name;
  Format format;
};
using Quantizers = std::vector<Quantizer>;

// configs/ptq/units/default_disabled_quantizers.yaml, as far as names go.
const Quantizers& Disabled() {
  static const Quantizers rows = {{"*block_sparse_moe.gate*", kKeep},
                                  {"*linear_attn.conv1d*", kKeep},
                                  {"*linear_attn.in_proj_a*", kKeep},
                                  {"*linear_attn.in_proj_b*", kKeep},
                                  {"*lm_head*", kKeep},
                                  {"*mlp.gate.*", kKeep},
                                  {"*mlp.shared_expert_gate.*", kKeep},
                                  {"*router*", kKeep},
                                  {"mtp.*", kKeep},
                                  {"*embed_vision*", kKeep},
                                  {"*vision_tower*", kKeep},
                                  {"*visual*", kKeep},
                                  {"*vision_model*", kKeep},
                                  {"*multi_modal_projector*", kKeep}};
  return rows;
}

Quantizers Joined(Quantizers first, const Quantizers& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Quantizers ThenDisabled(Quantizers rows) { return Joined(std::move(rows), Disabled()); }

// general/ptq/nvfp4_experts_only*-kv_fp8_cast.yaml
Quantizers ExpertsOnly() {
  return ThenDisabled({{"*.experts.*weight_quantizer", formats::kNvfp4},
                       {"*.experts.*input_quantizer", formats::kNvfp4},
                       {"*block_sparse_moe*weight_quantizer", formats::kNvfp4},
                       {"*block_sparse_moe*input_quantizer", formats::kNvfp4}});
}

// general/ptq/nvfp4_omlp_only-kv_fp8_cast.yaml
Quantizers OutputAndMlp() {
  return ThenDisabled({{"*mlp*_quantizer", formats::kNvfp4},
                       {"*block_sparse_moe*_quantizer", formats::kNvfp4},
                       {"*o_proj*_quantizer", formats::kNvfp4}});
}

// model_type/qwen3_5_moe/ptq/nvfp4_experts_mse-fp8_rest-kv_fp8.yaml
Quantizers Qwen35Moe() {
  return Joined(ThenDisabled({{"*weight_quantizer", formats::kFp8Tensor},
                              {"*input_quantizer", formats::kFp8Tensor},
                              {"*language_model*mlp.experts.*_quantizer", formats::kNvfp4}}),
                {{"*mtp*", kKeep}});
}

// models/Qwen/Qwen3.8-2.4T-A95B. It turns in_proj_a and in_proj_b on as well, which Vernier keeps,
// as NVIDIA's other recipes do.
Quantizers Qwen38Moe() {
  return Joined({{"*mlp.experts.*_quantizer", formats::kNvfp4},
                 {"*self_attn*_quantizer", formats::kFp8Tensor},
                 {"*linear_attn*_quantizer", formats::kFp8Tensor},
                 {"*mtp*", kKeep}},
                {{"*linear_attn.in_proj_a*", kKeep},
                 {"*linear_attn.in_proj_b*", kKeep},
                 {"*linear_attn.conv1d*", kKeep}});
}

// models/Qwen/Qwen3.8-27B/ptq/nvfp4_w4a4_mlp_fp8_attn_max.yaml
Quantizers Qwen38() {
  return {{"*language_model.layers.*.mlp.*_quantizer", formats::kNvfp4},
          {"*language_model.layers.*.self_attn.*_proj.*_quantizer", formats::kFp8Tensor},
          {"*language_model.layers.*.linear_attn.*_proj*_quantizer", formats::kFp8Tensor},
          {"*lm_head.*_quantizer", formats::kNvfp4},
          {"*linear_attn.in_proj_a*", kKeep},
          {"*linear_attn.in_proj_b*", kKeep}};
}

// model_type/qwen3_5/ptq/w4a16_nvfp4_mse-fp8_attn-kv_fp8_cast.quant_cfg.yaml
Quantizers Qwen36WeightOnly() {
  return Joined(ThenDisabled({{"*mlp*gate_proj*weight_quantizer*", formats::kNvfp4},
                              {"*mlp*up_proj*weight_quantizer*", formats::kNvfp4},
                              {"*mlp*down_proj*weight_quantizer*", formats::kNvfp4},
                              {"*self_attn*_quantizer", formats::kFp8Tensor},
                              {"*linear_attn.in_proj_qkv*_quantizer", formats::kFp8Tensor},
                              {"*linear_attn.in_proj_z*_quantizer", formats::kFp8Tensor},
                              {"*linear_attn.out_proj*_quantizer", formats::kFp8Tensor}}),
                {{"*mtp*", kKeep}, {"*lm_head*weight_quantizer", formats::kNvfp4}});
}

// models/mistralai/Mistral-Medium-3.5-128B, with the last layer of seven for that of 88.
Quantizers MistralMedium() {
  return ThenDisabled({{"*mlp*_quantizer", formats::kNvfp4},
                       {"*self_attn.?_proj*_quantizer", formats::kFp8Tensor},
                       {"*layers.[0-3].mlp*_quantizer", formats::kFp8Tensor},
                       {"*layers.6.mlp*_quantizer", formats::kFp8Tensor}});
}

// models/deepseek-ai/DeepSeek-V4-Pro-0813, whose names have an underscore before the quantizer's.
Quantizers DeepSeekV4() {
  return {{"*ffn.experts.*.w*_quantizer", formats::kNvfp4},
          {"*shared_experts*", kKeep},
          {"*mtp.*", kKeep}};
}

// llm-compressor, examples/quantization_w4a4_fp4/qwen3_6_example.py: all linear layers but those
// ignored.
Quantizers Qwen36LlmCompressor() {
  return {{"*_quantizer", formats::kNvfp4},
          {"*lm_head.*", kKeep},
          {"*visual*", kKeep},
          {"*mlp.gate.*", kKeep},
          {"*shared_expert_gate.*", kKeep},
          {"*linear_attn.*", kKeep}};
}

// The same, qwen3_8_gptq_awq_example.py: layers 56 to 63 of 64. FP8_DYNAMIC scales inputs itself.
Quantizers Qwen38LlmCompressor() {
  return {{"*mlp.*_proj.*_quantizer", formats::kNvfp4},
          {"*visual*", kKeep},
          {"*self_attn.[qkvo]_proj.weight_quantizer", formats::kFp8Channel},
          {"*linear_attn.in_proj_qkv.weight_quantizer", formats::kFp8Channel},
          {"*linear_attn.in_proj_z.weight_quantizer", formats::kFp8Channel},
          {"*linear_attn.out_proj.weight_quantizer", formats::kFp8Channel},
          {"*lm_head.weight_quantizer", formats::kFp8Channel},
          {"*layers.[3-9].mlp.*", kKeep},
          {"*layers.10.mlp.*", kKeep},
          {"*layers.[3-9].mlp.*weight_quantizer", formats::kFp8Channel},
          {"*layers.10.mlp.*weight_quantizer", formats::kFp8Channel}};
}

struct Shape {
  const char* published;
  const char* recipe;
  const char* model;  // of tests/data/recipes, or of tests/data/models
  Quantizers (*quantizers)();
  KvCache kv_cache;
};

void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.published; }

Format FormatOfQuantizer(const Quantizers& quantizers, const std::string& name) {
  Format format = kKeep;
  for (const Quantizer& row : quantizers) {
    if (fnmatch(row.name, name.c_str(), 0) == 0) format = row.format;
  }
  return format;
}

class RecipeShapeTest : public ::testing::TestWithParam<Shape> {
 protected:
  checkpoint::SourceModel Open() {
    const fs::path data = VERNIER_TEST_DATA;
    const std::string model = GetParam().model;
    return fs::exists(data / "recipes" / (model + ".json"))
               ? vernier::testing::OpenSkeleton(model, directory_.path() / "model")
               : checkpoint::OpenAnySourceModel(data / "models" / model);
  }

  // The shipped recipe for `source`.
  static Recipe Load(const checkpoint::SourceModel& source) {
    return FindRecipe(
        {.recipe = GetParam().recipe,
         .overrides = {{"/source", source.checkpoint.directory().string()}, {"/output", "out"}},
         .runs = false});
  }

  testing::TempDir directory_;
};

TEST_P(RecipeShapeTest, QuantisesTheSameModules) {
  const checkpoint::SourceModel source = Open();
  const Recipe recipe = Load(source);
  const Plan plan = MakePlan(source, recipe);
  const Quantizers quantizers = GetParam().quantizers();
  size_t quantised = 0;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = source.layout.weights[i];
    const WeightPlan& planned = plan.weights[i];
    // Multi-token prediction is no part of the model that ModelOpt quantises.
    if (!weight.linear || weight.role == checkpoint::Role::kMtp) {
      EXPECT_FALSE(IsQuantised(planned.format)) << weight.name;
      continue;
    }
    const Format format = FormatOfQuantizer(quantizers, weight.module + ".weight_quantizer");
    const Format made = IsQuantised(planned.format) ? planned.format : kKeep;
    EXPECT_EQ(made, format) << weight.module << " (" << RoleName(weight.role) << ")";
    const bool inputs = FormatOfQuantizer(quantizers, weight.module + ".input_quantizer") != kKeep;
    EXPECT_EQ(planned.HasInputScale(), inputs) << weight.module;
    quantised += IsQuantised(planned.format);
  }
  EXPECT_GT(quantised, 5u);
  EXPECT_EQ(recipe.kv_cache, GetParam().kv_cache);
}

// What is left in FP8 blocks or INT4 beside that would be read by no engine.
TEST_P(RecipeShapeTest, LeavesNothingQuantisedAsItWas) {
  const checkpoint::SourceModel source = Open();
  if (source.family->Facts().nvfp4_beside_native) return;  // of DeepSeek-V4 they read it
  const Plan plan = MakePlan(source, Load(source));
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = source.layout.weights[i];
    EXPECT_FALSE(plan.weights[i].format == kKeep && weight.format != checkpoint::formats::kPlain &&
                 weight.linear)
        << weight.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    LlmCompressor, RecipeShapeTest,
    ::testing::Values(Shape{"Qwen3.6-35B-A3B-NVFP4", "qwen3.6-nvfp4-compressed-tensors",
                            "qwen3_5_moe", Qwen36LlmCompressor, KvCache::kNone},
                      Shape{"Qwen3.8-27B-NVFP4-GPTQ-AWQ", "qwen3.8-nvfp4-fp8-compressed-tensors",
                            "qwen3_5", Qwen38LlmCompressor, KvCache::kFp8}));

INSTANTIATE_TEST_SUITE_P(
    Nvidia, RecipeShapeTest,
    ::testing::Values(Shape{"DeepSeek-V4-Pro-NVFP4", "deepseek-v4-nvfp4-experts",
                            "tiny-deepseek-v4", DeepSeekV4, KvCache::kNone},
                      Shape{"Qwen3.5-397B-A17B-NVFP4-V2", "qwen3.5-moe-nvfp4-fp8", "qwen3_5_moe",
                            Qwen35Moe, KvCache::kFp8},
                      Shape{"Qwen3.8-2.4T-A95B-NVFP4", "qwen3.8-moe-nvfp4-fp8", "qwen3_5_moe",
                            Qwen38Moe, KvCache::kFp8Cast},
                      Shape{"Qwen3.8-27B-NVFP4", "qwen3.8-nvfp4-fp8", "qwen3_5", Qwen38,
                            KvCache::kNone},
                      Shape{"Qwen3.6-27B-NVFP4", "qwen3.6-nvfp4-w4a16", "qwen3_5", Qwen36WeightOnly,
                            KvCache::kFp8Cast},
                      Shape{"Qwen3.6-35B-A3B, of the same scheme", "qwen3.6-nvfp4-w4a16",
                            "qwen3_5_moe", Qwen36WeightOnly, KvCache::kFp8Cast},
                      Shape{"Qwen3-235B-A22B-Instruct-2507-NVFP4", "qwen3-moe-nvfp4",
                            "tiny-qwen3-moe", OutputAndMlp, KvCache::kFp8Cast},
                      Shape{"DeepSeek-V3.1-NVFP4", "deepseek-v3-nvfp4", "tiny-deepseek-v3",
                            OutputAndMlp, KvCache::kFp8Cast},
                      Shape{"GLM-5.1-NVFP4", "glm-5-nvfp4-experts", "glm_moe_dsa", ExpertsOnly,
                            KvCache::kFp8Cast},
                      Shape{"GLM-5.2-NVFP4", "glm-5-nvfp4-experts-scale1", "glm_moe_dsa",
                            ExpertsOnly, KvCache::kFp8Cast},
                      Shape{"Kimi-K2.6-NVFP4", "kimi-k2-nvfp4-experts", "kimi_k25", ExpertsOnly,
                            KvCache::kFp8Cast},
                      Shape{"Kimi-K2.7-Code-NVFP4", "kimi-k2-nvfp4-experts-scale1", "kimi_k25",
                            ExpertsOnly, KvCache::kFp8Cast},
                      Shape{"MiniMax-M2.5-NVFP4", "minimax-m2-nvfp4-experts", "minimax_m2",
                            ExpertsOnly, KvCache::kFp8Cast},
                      Shape{"Mistral-Medium-3.5-128B-NVFP4", "mistral-medium-nvfp4-fp8",
                            "ministral3", MistralMedium, KvCache::kFp8}));

}  // namespace
}  // namespace vernier::recipes
