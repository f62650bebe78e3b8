// quantization_config in compressed-tensors' dialect, field by field.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/export/export_config_fixture.h"

namespace vernier::exporter {
namespace {

using checkpoint::Format;
using checkpoint::Role;
using recipes::ActivationScales;
using recipes::Dialect;
namespace formats = checkpoint::formats;

TEST_F(ConfigFormatsTest, CompressedTensorsNvfp4) {
  const OutputConfigs configs = Converted(Model(), formats::kNvfp4, &dialects::kCompressedTensors,
                                          ActivationScales::kConstant);
  EXPECT_EQ(configs.config["quantization_config"].dump(), Parsed(R"({
    "config_groups": {"group_0": {
      "format": "nvfp4-pack-quantized",
      "input_activations": {
        "actorder": null, "block_structure": null, "dynamic": "local", "group_size": 16,
        "num_bits": 4, "observer": "static_minmax", "observer_kwargs": {},
        "scale_dtype": "torch.float8_e4m3fn", "strategy": "tensor_group", "symmetric": true,
        "type": "float", "zp_dtype": null},
      "output_activations": null,
      "targets": ["Linear"],
      "weights": {
        "actorder": null, "block_structure": null, "dynamic": false, "group_size": 16,
        "num_bits": 4, "observer": "memoryless_minmax", "observer_kwargs": {},
        "scale_dtype": "torch.float8_e4m3fn", "strategy": "tensor_group", "symmetric": true,
        "type": "float", "zp_dtype": null}}},
    "format": "nvfp4-pack-quantized",
    "global_compression_ratio": null,
    "ignore": ["lm_head", "model.layers.1.mlp.gate", "model.layers.2.eh_proj"],
    "kv_cache_scheme": null,
    "quant_method": "compressed-tensors",
    "quantization_status": "compressed",
    "sparsity_config": {},
    "transform_config": {},
    "version": "0.18.0"})")
                                                              .dump());
  EXPECT_TRUE(configs.hf_quant_config.is_null());
}

// Values of compressed-tensors' presets of these names (quant_scheme.py).
TEST_F(ConfigFormatsTest, CompressedTensorsSingleFormats) {
  struct Case {
    Format format;
    ActivationScales activations;
    const char* name;
    const char* weights;  // the fields that are not the same for all
    const char* inputs;
  };
  const std::vector<Case> cases = {
      {formats::kNvfp4, ActivationScales::kNone, "nvfp4-pack-quantized",  // NVFP4A16
       R"({"num_bits": 4, "strategy": "tensor_group", "group_size": 16, "dynamic": false,
           "type": "float", "scale_dtype": "torch.float8_e4m3fn"})",
       "null"},
      {formats::kMxfp4, ActivationScales::kNone, "mxfp4-pack-quantized",
       R"({"num_bits": 4, "strategy": "group", "group_size": 32, "dynamic": false,
           "type": "float", "scale_dtype": "torch.uint8"})",
       "null"},
      {formats::kMxfp8, ActivationScales::kNone, "mxfp8-quantized",
       R"({"num_bits": 8, "strategy": "group", "group_size": 32, "dynamic": false,
           "type": "float", "scale_dtype": "torch.uint8"})",
       R"({"num_bits": 8, "strategy": "group", "group_size": 32, "dynamic": true,
           "type": "float", "scale_dtype": "torch.uint8"})"},
      {formats::kFp8Tensor, ActivationScales::kConstant, "float-quantized",  // FP8
       R"({"num_bits": 8, "strategy": "tensor", "dynamic": false, "type": "float"})",
       R"({"num_bits": 8, "strategy": "tensor", "dynamic": false, "type": "float",
           "observer": "static_minmax"})"},
      {formats::kFp8Tensor, ActivationScales::kNone, "float-quantized",
       R"({"num_bits": 8, "strategy": "tensor", "dynamic": false, "type": "float"})",
       R"({"num_bits": 8, "strategy": "token", "dynamic": true, "type": "float"})"},
      {formats::kFp8Channel, ActivationScales::kNone, "float-quantized",  // FP8_DYNAMIC
       R"({"num_bits": 8, "strategy": "channel", "dynamic": false, "type": "float"})",
       R"({"num_bits": 8, "strategy": "token", "dynamic": true, "type": "float"})"},
      {formats::kFp8Block, ActivationScales::kNone, "float-quantized",
       R"({"num_bits": 8, "strategy": "block", "block_structure": [128, 128], "dynamic": false,
           "type": "float"})",
       R"({"num_bits": 8, "strategy": "group", "group_size": 128, "dynamic": true,
           "type": "float"})"},
      {formats::kInt4, ActivationScales::kNone, "pack-quantized",  // W4A16
       R"({"num_bits": 4, "strategy": "group", "group_size": 128, "dynamic": false,
           "type": "int"})",
       "null"}};
  const auto full = [](const char* text, const char* observer) {
    Json args = Parsed(text);
    if (args.is_null()) return Unordered(args);
    Json all = {{"actorder", nullptr},    {"block_structure", nullptr},
                {"group_size", nullptr},  {"observer", observer ? Json(observer) : Json()},
                {"scale_dtype", nullptr}, {"observer_kwargs", Json::object()},
                {"symmetric", true},      {"zp_dtype", nullptr}};
    all.update(args);
    return Unordered(all);
  };
  const checkpoint::SourceModel source = Model();
  for (const Case& expected : cases) {
    const OutputConfigs configs = ConvertedButExperts(
        source, expected.format, &dialects::kCompressedTensors, expected.activations);
    const Json& quantization = configs.config["quantization_config"];
    EXPECT_EQ(quantization["format"], expected.name);
    const Json& group = quantization["config_groups"]["group_0"];
    EXPECT_EQ(group["format"], expected.name);
    EXPECT_EQ(Unordered(group["weights"]), full(expected.weights, "memoryless_minmax"));
    EXPECT_EQ(Unordered(group["input_activations"]), full(expected.inputs, nullptr));
  }
}

TEST_F(ConfigFormatsTest, CompressedTensorsGroupsAreDisjoint) {
  recipes::Recipe recipe = RecipeOf({{Role::kAttention, formats::kFp8Channel},
                                     {Role::kDenseMlp, formats::kFp8Tensor},
                                     {Role::kRoutedExpert, formats::kNvfp4}});
  recipe.dialect = &dialects::kCompressedTensors;
  const Json quantization = Configs(Model(), recipe).config["quantization_config"];
  EXPECT_EQ(quantization["format"], "mixed-precision");
  const Json& groups = quantization["config_groups"];
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups["group_0"]["format"], "nvfp4-pack-quantized");
  EXPECT_EQ(groups["group_0"]["targets"].size(), 6u);
  EXPECT_EQ(groups["group_0"]["targets"][0], "model.layers.1.mlp.experts.0.down_proj");
  EXPECT_EQ(groups["group_1"]["targets"],
            Json::array({"model.layers.0.mlp.down_proj", "model.layers.0.mlp.gate_proj",
                         "model.layers.0.mlp.up_proj"}));
  EXPECT_EQ(groups["group_2"]["targets"].size(), 8u);
  // Two groups of one storage format are not mixed.
  recipe.rules.pop_back();
  EXPECT_EQ(Configs(Model(), recipe).config["quantization_config"]["format"], "float-quantized");
}

}  // namespace
}  // namespace vernier::exporter
