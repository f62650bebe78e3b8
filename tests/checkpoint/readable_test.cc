// Sources that are refused: in formats that are not read, incomplete, not merged.
#include "checkpoint/readable.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;
using ::vernier::testing::Zeros;

class ReadableTest : public ::testing::Test {
 protected:
  SourceModel Open(const std::vector<TestTensor>& tensors, const Json& config = Json::object()) {
    ::vernier::testing::WriteCheckpoint(directory_.path(), config, tensors, 1);
    return OpenAnySourceModel(directory_.path());
  }

 private:
  TempDir directory_;
};

const char kQ[] = "model.layers.0.self_attn.q_proj";

TestTensor Part(const char* suffix, DType dtype, std::vector<int64_t> shape) {
  return Zeros(std::string(kQ) + suffix, dtype, std::move(shape));
}

std::vector<TestTensor> PackedColumns() {
  return {Part(".qweight", DType::kI32, {16, 64}), Part(".qzeros", DType::kI32, {1, 8}),
          Part(".scales", DType::kF16, {1, 64})};
}

struct Foreign {
  const char* name;  // in the message
  std::vector<TestTensor> tensors;
  Json config;
};

std::vector<Foreign> ForeignSources() {
  const auto method = [](const char* name) {
    return Json({{"quantization_config", {{"quant_method", name}}}});
  };
  return {
      {"GPTQ", PackedColumns(), method("gptq")},
      {"AWQ", PackedColumns(), method("awq")},
      {"bitsandbytes",
       {Part(".weight", DType::kU8, {4096, 1}), Part(".weight.absmax", DType::kF32, {128})},
       method("bitsandbytes")},
      {"INT8",
       {Part(".weight", DType::kI8, {64, 64}), Part(".weight_scale", DType::kBF16, {64, 1})},
       method("compressed-tensors")},
      {"columns in another order",
       {Part(".weight_packed", DType::kI32, {64, 8}), Part(".weight_scale", DType::kBF16, {64, 2}),
        Part(".weight_g_idx", DType::kI32, {64})},
       method("compressed-tensors")},
      {"NVFP4 with all experts of a layer in one tensor",
       {Zeros("model.layers.0.mlp.experts.down_proj", DType::kU8, {4, 32, 64}),
        Zeros("model.layers.0.mlp.experts.down_proj_weight_scale", DType::kF8E4M3, {4, 4, 64}),
        Zeros("model.layers.0.mlp.experts.down_proj_weight_scale_2", DType::kF32, {})},
       method("modelopt")},
      {"MXFP4 with all experts of a layer in one tensor",
       {Zeros("model.layers.0.mlp.experts.down_proj_blocks", DType::kU8, {4, 64, 2, 16}),
        Zeros("model.layers.0.mlp.experts.down_proj_scales", DType::kU8, {4, 64, 2})},
       method("mxfp4")},
      {"FP8 with all experts of a layer in one tensor",
       {Zeros("model.layers.0.mlp.experts.down_proj", DType::kF8E4M3, {4, 64, 64}),
        Zeros("model.layers.0.mlp.experts.down_proj_scale_inv", DType::kF32, {4, 1, 1})},
       method("fp8")},
      {"quant_method aqlm", {Part(".weight", DType::kBF16, {64, 64})}, method("aqlm")},
  };
}

TEST_F(ReadableTest, FormatsThatAreNotReadAreNamed) {
  for (const Foreign& foreign : ForeignSources()) {
    EXPECT_VERNIER_ERROR(Open(foreign.tensors, foreign.config), ErrorCode::kUnsupportedFormat,
                         foreign.name);
  }
}

TEST_F(ReadableTest, AnAdapterIsToBeMergedFirst) {
  EXPECT_VERNIER_ERROR(Open({Part(".base_layer.weight", DType::kBF16, {64, 64}),
                             Part(".lora_A.default.weight", DType::kBF16, {8, 64})}),
                       ErrorCode::kUnsupportedFormat, "merge_and_unload");
}

TEST_F(ReadableTest, MissingTensorsAreNamedAndCounted) {
  const SourceModel source =
      Open({Zeros("transformer.word_embeddings.weight", DType::kBF16, {32, 64})},
           {{"model_type", "falcon"}, {"num_hidden_layers", 1}});
  EXPECT_VERNIER_ERROR(RequireComplete(*source.family, source.layout), ErrorCode::kMissingTensor,
                       "transformer.ln_f.weight, transformer.ln_f.bias");
  EXPECT_VERNIER_ERROR(RequireComplete(*source.family, source.layout), ErrorCode::kMissingTensor,
                       "more are missing, which a falcon needs");
}

TEST_F(ReadableTest, AStackOfExpertsIsToldWhereTheyAreMissing) {
  const SourceModel source =
      Open({Zeros("model.layers.0.mlp.experts.gate_up_proj", DType::kBF16, {4, 64, 64})},
           {{"model_type", "gpt_neox"}, {"num_hidden_layers", 1}});
  EXPECT_VERNIER_ERROR(RequireComplete(*source.family, source.layout), ErrorCode::kMissingTensor,
                       "stacked in one tensor a layer (model.layers.0.mlp.experts.gate_up_proj)");
}

}  // namespace
}  // namespace vernier::checkpoint
