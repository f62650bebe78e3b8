// What the audit makes of weights in formats and dialects other than the release's: nothing on
// right ones, the format's own rules on wrong ones.
#include <tuple>
#include <vector>

#include "tests/audit/audit_test_base.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using checkpoint::Format;
namespace formats = checkpoint::formats;
using testing::Filled;
using testing::MakeTensor;
using testing::TestTensor;

constexpr int64_t kRows = 64;
constexpr int64_t kColumns = 128;
const char kModule[] = "model.layers.0.mlp.up_proj";

std::string Part(const std::string& suffix) { return kModule + suffix; }

TestTensor Bytes(const std::string& suffix, DType dtype, std::vector<int64_t> shape,
                 uint8_t value) {
  return Filled(Part(suffix), dtype, std::move(shape), value);
}

TestTensor Floats(const std::string& suffix, std::vector<int64_t> shape, float value = 0.5f) {
  return Filled(Part(suffix), DType::kF32, std::move(shape), value);
}

TestTensor Bf16(const std::string& suffix, std::vector<int64_t> shape) {
  return testing::FilledBf16(Part(suffix), std::move(shape), 0.5f);
}

TestTensor Fp8Codes() { return Bytes(".weight", DType::kF8E4M3, {kRows, kColumns}, 0x38); }
TestTensor Fp4Codes(const std::string& suffix) {
  return Bytes(suffix, DType::kU8, {kRows, kColumns / 2}, 0x21);
}

// A model of no known type with one quantised weight, in the modelopt dialect.
ModelFiles ModeloptModel(const std::string& algo, std::vector<TestTensor> tensors) {
  ModelFiles model;
  const Json producer = {{"name", "modelopt"}, {"version", "test"}};
  model.config = {{"model_type", "some_model"},
                  {"quantization_config",
                   {{"quant_method", "modelopt"},
                    {"quant_algo", algo},
                    {"group_size", 16},
                    {"ignore", Json::array()},
                    {"producer", producer}}}};
  model.quant_config = {
      {"producer", producer},
      {"quantization",
       {{"quant_algo", algo}, {"group_size", 16}, {"exclude_modules", Json::array()}}}};
  model.tensors = std::move(tensors);
  return model;
}

// The same in the compressed-tensors dialect.
ModelFiles CompressedModel(const Json& weights, std::vector<TestTensor> tensors) {
  ModelFiles model;
  const Json group = {
      {"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}};
  model.config = {{"model_type", "some_model"},
                  {"quantization_config",
                   {{"quant_method", "compressed-tensors"},
                    {"config_groups", {{"group_0", group}}},
                    {"ignore", Json::array()}}}};
  model.tensors = std::move(tensors);
  return model;
}

ModelFiles Int4Model() {
  const std::vector<int64_t> shape = {kRows, kColumns};
  return CompressedModel(
      {{"num_bits", 4}, {"type", "int"}, {"strategy", "group"}, {"group_size", 128}},
      {MakeTensor(Part(".weight_packed"), DType::kI32, {kRows, kColumns / 8},
                  std::vector<int32_t>(kRows * kColumns / 8, 0x12345678)),
       Bf16(".weight_scale", {kRows, 1}),
       MakeTensor(Part(".weight_shape"), DType::kI64, {2}, shape)});
}

ModelFiles CompressedNvfp4Model() {
  return CompressedModel(
      {{"num_bits", 4}, {"type", "float"}, {"strategy", "tensor_group"}, {"group_size", 16}},
      {Fp4Codes(".weight_packed"),
       Bytes(".weight_scale", DType::kF8E4M3, {kRows, kColumns / 16}, 0x38),
       Floats(".weight_global_scale", {1})});
}

ModelFiles WeightOnlyNvfp4Model() {
  return ModeloptModel(
      "W4A16_NVFP4",
      {Fp4Codes(".weight"), Bytes(".weight_scale", DType::kF8E4M3, {kRows, kColumns / 16}, 0x38),
       Floats(".weight_scale_2", {})});
}

ModelFiles Mxfp4Model() {
  return ModeloptModel("mxfp4", {Fp4Codes(".weight"),
                                 Bytes(".weight_scale", DType::kU8, {kRows, kColumns / 32}, 120)});
}

ModelFiles Mxfp8Model() {
  return ModeloptModel(
      "MXFP8", {Fp8Codes(), Bytes(".weight_scale", DType::kU8, {kRows, kColumns / 32}, 120)});
}

ModelFiles ChannelModel() {
  return ModeloptModel("FP8_PER_CHANNEL_PER_TOKEN", {Fp8Codes(), Floats(".weight_scale", {kRows})});
}

// As vLLM reads them, which has most of them.
class FormatTest : public AuditTest {
 protected:
  AuditReport Audit(const ModelFiles& model) const {
    model.Write(Directory());
    return Validate({.directory = Directory(), .engines = EnginesFromOption("vllm")});
  }
};

TEST_F(FormatTest, NothingFiresOnRightWeights) {
  // Of the engines only TensorRT-LLM takes MXFP4 in modelopt's dialect, it alone neither INT4 nor
  // NVFP4 without inputs in compressed-tensors', and SGLang no FP8 by rows in modelopt's.
  const std::vector<std::tuple<ModelFiles, Format, Rules>> cases = {
      {Int4Model(), formats::kInt4, {"V13"}},
      {CompressedNvfp4Model(), formats::kNvfp4, {"V13"}},
      {WeightOnlyNvfp4Model(), formats::kNvfp4, {}},
      {Mxfp4Model(), formats::kMxfp4, {"V13"}},
      {Mxfp8Model(), formats::kMxfp8, {}},
      {ChannelModel(), formats::kFp8Channel, {"V05"}}};
  for (const auto& [model, format, rules] : cases) {
    const testing::TempDir directory;
    model.Write(directory.path() / "model");
    const AuditReport report =
        Validate({.directory = directory.path() / "model", .depth = AuditDepth::kFull});
    EXPECT_EQ(RulesOf(report), rules) << ReportText(report);
    EXPECT_TRUE(report.Clean());
    EXPECT_EQ(report.quantised_weights, (std::map<Format, int64_t>{{format, 1}}));
  }
}

TEST_F(FormatTest, AnInputScaleIsMissedWhereInputsAreQuantised) {
  ModelFiles model = WeightOnlyNvfp4Model();
  model.Inline()["quant_algo"] = model.Nested()["quant_algo"] = "NVFP4";
  EXPECT_RULES(Audit(model), "V02");
  ModelFiles compressed = CompressedNvfp4Model();
  Json& group = compressed.Inline()["config_groups"]["group_0"];
  group["input_activations"] = group["weights"];
  EXPECT_RULES(Audit(compressed), "V02");
}

TEST_F(FormatTest, PartsOfTheWrongShapeOrDtype) {
  ModelFiles model = Int4Model();
  model.At(Part(".weight_scale")) = Bf16(".weight_scale", {kRows, 3});
  EXPECT_RULES(Audit(model), "B04");
  model = Int4Model();
  model.At(Part(".weight_shape")).spec.dtype = DType::kU64;
  EXPECT_RULES(Audit(model), "B04");
  model = Mxfp8Model();
  model.At(Part(".weight_scale")) = Bytes(".weight_scale", DType::kU8, {kRows, kColumns / 16}, 120);
  EXPECT_RULES(Audit(model), "B04");
  model = ChannelModel();
  model.At(Part(".weight_scale")) = Bf16(".weight_scale", {kRows, 1});
  EXPECT_RULES(Audit(model), "B04");
}

TEST_F(FormatTest, PartsThatAreMissing) {
  ModelFiles model = Int4Model();
  model.Remove(Part(".weight_shape"));
  EXPECT_RULES(Audit(model), "V02");
  model = CompressedNvfp4Model();
  model.Remove(Part(".weight_global_scale"));
  EXPECT_RULES(Audit(model), "V02");
}

TEST_F(FormatTest, ScalesOfEveryFormatAreRead) {
  ModelFiles model = Mxfp8Model();
  model.At(Part(".weight_scale")).bytes[3] = std::byte{0xFF};
  EXPECT_RULES(Audit(model), "B03");
  model = ChannelModel();
  model.At(Part(".weight_scale")) = Floats(".weight_scale", {kRows}, -1.0f);
  EXPECT_RULES(Audit(model), "V02");
  model = Int4Model();
  model.At(Part(".weight_scale")).bytes[1] = std::byte{0xBF};
  EXPECT_RULES(Audit(model), "V02");
}

TEST_F(FormatTest, TheConfigurationMustNameTheFormat) {
  ModelFiles model = Mxfp8Model();
  model.Inline()["quant_algo"] = model.Nested()["quant_algo"] = "FP8";
  EXPECT_RULES(Audit(model), "V05", "V13");
  model = CompressedNvfp4Model();
  model.Inline()["ignore"] = {"re:.*up_proj"};
  EXPECT_RULES(Audit(model), "V05");
  model = CompressedNvfp4Model();
  model.Inline()["config_groups"]["group_0"]["targets"] = {"model.layers.0.mlp.down_proj"};
  model.Inline()["config_groups"]["group_0"]["input_activations"] = Json::object();
  EXPECT_TRUE(RulesOf(Audit(model)).contains("V05"));
  model = CompressedNvfp4Model();
  model.Inline().erase("config_groups");
  EXPECT_TRUE(RulesOf(Audit(model)).contains("V13"));
}

}  // namespace
}  // namespace vernier::audit
