// Every rule fires on its defect, and only on it; none fires on a clean checkpoint.
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "base/file.h"
#include "tests/audit/audit_test_base.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;
using testing::TestTensor;

const char kW1[] = "layers.1.ffn.experts.2.w1";
const char kW2[] = "layers.1.ffn.experts.2.w2";
const char kW3[] = "layers.1.ffn.experts.2.w3";
const char kShared[] = "layers.1.ffn.shared_experts";

std::string Part(const std::string& module, const std::string& suffix) { return module + suffix; }

void SetByte(TestTensor* tensor, size_t index, uint8_t value) {
  tensor->bytes.at(index) = static_cast<std::byte>(value);
}

struct DefectCase {
  std::string name;
  std::function<void(ModelFiles&)> corrupt;
  Rules rules;
  bool full = false;
  int64_t mtp_layers = 0;
};

void PrintTo(const DefectCase& defect, std::ostream* stream) { *stream << defect.name; }

class DefectTest : public AuditTest, public ::testing::WithParamInterface<DefectCase> {};

TEST_P(DefectTest, FiresExactlyItsRules) {
  const DefectCase& defect = GetParam();
  ModelFiles model = MakeNvfp4Model(defect.mtp_layers > 0 ? NativeWithMtp() : Native());
  defect.corrupt(model);
  const AuditReport report = Audit(model, defect.full);
  EXPECT_EQ(RulesOf(report), defect.rules) << ReportText(report);
}

std::vector<DefectCase> ScaleDefects() {
  return {
      {"W3HasAnotherGlobalScale",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW3, ".weight_scale_2")), 0.125f); },
       {"V01"}},
      {"W3HasAnotherInputScale",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW3, ".input_scale")), 0.125f); },
       {"V01"}},
      {"InputScaleMissing", [](ModelFiles& m) { m.Remove(Part(kW2, ".input_scale")); }, {"V02"}},
      {"GlobalScaleMissing",
       [](ModelFiles& m) { m.Remove(Part(kW2, ".weight_scale_2")); },
       {"V02"}},
      {"BlockScalesMissing", [](ModelFiles& m) { m.Remove(Part(kW2, ".weight_scale")); }, {"V02"}},
      {"AllScalesMissing",
       [](ModelFiles& m) {
         for (const char* suffix : {".weight_scale", ".weight_scale_2", ".input_scale"}) {
           m.Remove(Part(kW2, suffix));
         }
       },
       {"V02"}},
      {"InputScaleZero",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW2, ".input_scale")), 0.0f); },
       {"V02"}},
      {"InputScaleInfinite",
       [](ModelFiles& m) {
         SetFloat(&m.At(Part(kW2, ".input_scale")), std::numeric_limits<float>::infinity());
       },
       {"V02"}},
      {"GlobalScaleNan",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW2, ".weight_scale_2")), std::nanf("")); },
       {"V02"}},
      {"GlobalScaleNegative",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW2, ".weight_scale_2")), -1.0f); },
       {"V02"}},
      {"Fp8ScaleMissing", [](ModelFiles& m) { m.Remove("layers.0.attn.wq_b.scale"); }, {"V02"}},
      {"Fp8F32ScaleZero",
       [](ModelFiles& m) {
         TestTensor& scale = m.At("layers.0.attn.wq_b.scale");
         scale = MakeTensor(scale.spec.name, DType::kF32, scale.spec.shape,
                            std::vector<float>(scale.bytes.size(), 0.0f));
       },
       {"V02"}},
      {"BlockScaleNan",
       [](ModelFiles& m) { SetByte(&m.At(Part(kW1, ".weight_scale")), 5, 0x7F); },
       {"B01"}},
      {"BlockScaleNegative",
       [](ModelFiles& m) { SetByte(&m.At(Part(kW1, ".weight_scale")), 5, 0xB8); },
       {"B01"}},
      {"BlockScaleZeroOverValues",
       [](ModelFiles& m) {
         SetByte(&m.At(Part(kW1, ".weight_scale")), 5, 0);
         SetByte(&m.At(Part(kW1, ".weight")), 5 * 8 + 7, 0x90);
       },
       {"B02"}},
      {"BlockScaleZeroOverZeros",
       [](ModelFiles& m) {
         SetByte(&m.At(Part(kW1, ".weight_scale")), 5, 0);
         for (size_t i = 0; i < 8; ++i) SetByte(&m.At(Part(kW1, ".weight")), 5 * 8 + i, 0x80);
       },
       {}},
      {"E8m0ScaleNan",
       [](ModelFiles& m) { SetByte(&m.At("layers.0.attn.wq_b.scale"), 0, 0xFF); },
       {"B03"}},
      {"SharedExpertScalesDiffer",
       [](ModelFiles& m) {
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"*.attn.*"};
         QuantizeModule(&m, Part(kShared, ".w1"), 0.01f);
         QuantizeModule(&m, Part(kShared, ".w3"), 0.02f);
       },
       {"V08", "V15"}},
      {"OnlyHalfOfAFusedGroupIsNvfp4",
       [](ModelFiles& m) {
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"*.attn.*"};
         QuantizeModule(&m, Part(kShared, ".w1"));
       },
       {"V08", "V15"}},
  };
}

std::vector<DefectCase> FormatDefects() {
  return {
      {"BlockScaleStoredAsU8",
       [](ModelFiles& m) { m.At(Part(kW1, ".weight_scale")).spec.dtype = DType::kU8; },
       {"B04"}},
      {"NibblesStoredAsI8",
       [](ModelFiles& m) { m.At(Part(kW1, ".weight")).spec.dtype = DType::kI8; },
       {"B04"}},
      {"BlockScalesOfThirtyTwo",
       [](ModelFiles& m) {
         m.At(Part(kW1, ".weight_scale")) = MakeTensor(Part(kW1, ".weight_scale"), DType::kF8E4M3,
                                                       {64, 2}, std::vector<uint8_t>(128, 0x38));
       },
       {"B04"}},
      {"GlobalScaleIsAVector",
       [](ModelFiles& m) {
         m.At(Part(kW2, ".weight_scale_2")) = MakeTensor(Part(kW2, ".weight_scale_2"), DType::kF32,
                                                         {2}, std::vector<float>{1.0f, 1.0f});
       },
       {"B04"}},
      {"GlobalScaleOfShapeOne",
       [](ModelFiles& m) { m.At(Part(kW2, ".weight_scale_2")).spec.shape = {1}; },
       {}},
      {"Fp8ScaleOfAnotherBlockSize",
       [](ModelFiles& m) {
         TestTensor& scale = m.At("layers.0.attn.wq_b.scale");
         scale = MakeTensor(scale.spec.name, DType::kF8E8M0, {8, 2}, std::vector<uint8_t>(16, 120));
       },
       {"B04"}},
      {"ScaleWithoutWeight",
       [](ModelFiles& m) {
         m.tensors.push_back(MakeTensor("layers.0.ffn.gone.weight_scale", DType::kF8E4M3, {1, 1},
                                        std::vector<uint8_t>{0x38}));
       },
       {"B04"}},
      {"PlainWeightWithScale",
       [](ModelFiles& m) {
         m.tensors.push_back(
             MakeTensor("norm.input_scale", DType::kF32, {}, std::vector<float>{1.0f}));
       },
       {"B04"}},
      {"NormHoldsNan",
       [](ModelFiles& m) {
         SetByte(&m.At("norm.weight"), 6, 0xC0);
         SetByte(&m.At("norm.weight"), 7, 0x7F);
       },
       {"B05"},
       /*full=*/true},
      {"Fp8CodeIsNan",
       [](ModelFiles& m) { SetByte(&m.At("layers.0.attn.wq_b.weight"), 9, 0xFF); },
       {"B05"},
       /*full=*/true},
      {"SinkIsInfinite",
       [](ModelFiles& m) {
         SetFloat(&m.At("layers.0.attn.attn_sink"), std::numeric_limits<float>::infinity());
       },
       {"B05"},
       /*full=*/true},
  };
}

std::vector<DefectCase> ModelDefects() {
  return {
      {"MtpAnnouncedButAbsent",
       [](ModelFiles& m) { m.config["num_nextn_predict_layers"] = 1; },
       {"V06"}},
      {"MtpExpertsAreMxfp4", [](ModelFiles&) {}, {"V03"}, false, 1},
      {"MtpPresentButNotAnnounced",
       [](ModelFiles& m) { m.config["num_nextn_predict_layers"] = 0; },
       {"V03", "V06"},
       false,
       1},
      {"ExpertProjectionMissing",
       [](ModelFiles& m) {
         for (const char* s : {".weight", ".weight_scale", ".weight_scale_2", ".input_scale"}) {
           m.Remove(Part(kW2, s));
         }
       },
       {"V09"}},
      {"ExpertMissing",
       [](ModelFiles& m) {
         std::erase_if(m.tensors, [](const TestTensor& tensor) {
           return tensor.spec.name.starts_with("layers.1.ffn.experts.3.");
         });
       },
       {"V09"}},
      {"MoreExpertsThanAnnounced",
       [](ModelFiles& m) {
         m.tensors.push_back(MakeTensor("layers.1.ffn.experts.4.w1.weight", DType::kBF16, {1},
                                        std::vector<uint16_t>{0}));
       },
       {"C03"}},
      {"OneExpertKeptMxfp4",
       [](ModelFiles& m) {
         for (const char* suffix : {".weight_scale", ".weight_scale_2", ".input_scale"}) {
           m.Remove(Part(kW2, suffix));
         }
         m.At(Part(kW2, ".weight")).spec.dtype = DType::kI8;
         m.tensors.push_back(MakeTensor(Part(kW2, ".scale"), DType::kF8E8M0, {64, 2},
                                        std::vector<uint8_t>(128, 120)));
       },
       {"V05", "V09", "V15"}},
      {"RouterIsNvfp4", [](ModelFiles& m) { QuantizeModule(&m, "layers.1.ffn.gate"); }, {"V10"}},
      {"LayerMissing",
       [](ModelFiles& m) {
         std::erase_if(m.tensors, [](const TestTensor& tensor) {
           return tensor.spec.name.starts_with("layers.2.");
         });
         m.UnlistLayer("layers.2.ffn.experts");
       },
       {"C03"}},
      {"NormMissing", [](ModelFiles& m) { m.Remove("norm.weight"); }, {"C03"}},
      {"UnknownTensor",
       [](ModelFiles& m) {
         m.tensors.push_back(
             MakeTensor("layers.0.surprise", DType::kF32, {1}, std::vector<float>{1.0f}));
       },
       {"C03"}},
      {"CompressRatioDeniesCompressor",
       [](ModelFiles& m) { m.config["compress_ratios"][1] = 0; },
       {"C03"}},
      {"CompressRatioNeedsCompressor",
       [](ModelFiles& m) { m.config["compress_ratios"][0] = 128; },
       {"C03"}},
      {"HiddenSizeDiffers", [](ModelFiles& m) { m.config["hidden_size"] = 96; }, {"C03"}},
      {"ImpossibleConfig", [](ModelFiles& m) { m.config["num_hidden_layers"] = -1; }, {"C03"}},
  };
}

std::vector<DefectCase> ConfigDefects() {
  return {
      {"LayerNotListed", [](ModelFiles& m) { m.UnlistLayer("layers.1.ffn.experts"); }, {"V05"}},
      {"LayerOfAnotherGroupSize",
       [](ModelFiles& m) {
         m.Inline()["quantized_layers"]["layers.1.ffn.experts"]["group_size"] = 32;
         m.Nested()["quantized_layers"]["layers.1.ffn.experts"]["group_size"] = 32;
       },
       {"V05"}},
      {"Fp8ModuleListed",
       [](ModelFiles& m) { m.ListLayer("layers.1.ffn.shared_experts.w1"); },
       // An exclusion pattern of all engines covers shared experts, so listing one is harmless.
       {}},
      {"HeadListed",
       [](ModelFiles& m) {
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"*.attn.*"};
         m.ListLayer("head");
       },
       {"V05"}},
      {"UnknownModuleListed",
       [](ModelFiles& m) { m.ListLayer("model.layers.0.mlp.experts"); },
       {"V05"}},
      {"ExclusionCatchesExperts",
       [](ModelFiles& m) {
         m.Inline()["ignore"].push_back("experts");
         m.Nested()["exclude_modules"].push_back("experts");
       },
       {"V05"}},
      {"LayerWildcardWithoutDot",
       [](ModelFiles& m) {
         m.Inline()["ignore"].push_back("layers.1*");
         m.Nested()["exclude_modules"].push_back("layers.1*");
       },
       {"V05"}},
      {"QuantConfigFileMissing", [](ModelFiles& m) { m.quant_config = nullptr; }, {"V13"}},
      {"InlineConfigMissing",
       [](ModelFiles& m) { m.config.erase("quantization_config"); },
       {"V13"}},
      {"ConfigsDisagree",
       [](ModelFiles& m) { m.Nested()["exclude_modules"].push_back("embed"); },
       {"V13"}},
      {"GroupSizeMissing",
       [](ModelFiles& m) {
         m.Inline().erase("group_size");
         m.Nested().erase("group_size");
       },
       {"V13"}},
      {"ExclusionsMissing",
       [](ModelFiles& m) {
         m.Inline().erase("ignore");
         m.Nested().erase("exclude_modules");
       },
       {"V13"}},
      {"WrongQuantMethod", [](ModelFiles& m) { m.Inline()["quant_method"] = "modelopt"; }, {"V15"}},
      {"NoMoeQuantAlgo", [](ModelFiles& m) { m.Inline().erase("moe_quant_algo"); }, {"V15"}},
      {"NotMixedPrecision",
       [](ModelFiles& m) {
         m.Inline()["quant_algo"] = "NVFP4";
         m.Nested()["quant_algo"] = "NVFP4";
       },
       {"V15"}},
      {"WrongBlockSize", [](ModelFiles& m) { m.Inline().erase("weight_block_size"); }, {"V15"}},
      {"WrongExpertDtype", [](ModelFiles& m) { m.config["expert_dtype"] = "fp8"; }, {"V15"}},
      {"LeftoverScale",
       [](ModelFiles& m) {
         m.tensors.push_back(MakeTensor(Part(kW1, ".scale"), DType::kF8E8M0, {64, 2},
                                        std::vector<uint8_t>(128, 120)));
       },
       {"V15"}},
      {"MtpMxfp4StoredAsU8",
       [](ModelFiles& m) { m.At("mtp.0.ffn.experts.0.w1.weight").spec.dtype = DType::kU8; },
       {"V03", "V15"},
       false,
       1},
      {"AttentionIsNvfp4",
       [](ModelFiles& m) {
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"head"};
         QuantizeModule(&m, "layers.1.attn.wo_b");
       },
       {"V15"}},
  };
}

const auto kCaseName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Scales, DefectTest, ::testing::ValuesIn(ScaleDefects()), kCaseName);
INSTANTIATE_TEST_SUITE_P(Formats, DefectTest, ::testing::ValuesIn(FormatDefects()), kCaseName);
INSTANTIATE_TEST_SUITE_P(Models, DefectTest, ::testing::ValuesIn(ModelDefects()), kCaseName);
INSTANTIATE_TEST_SUITE_P(Configs, DefectTest, ::testing::ValuesIn(ConfigDefects()), kCaseName);

using CleanTest = AuditTest;

TEST_F(CleanTest, NothingFiresOnAnNvfp4Checkpoint) {
  const AuditReport report = Audit(MakeNvfp4Model(Native()), /*full=*/true);
  EXPECT_RULES(report);
  EXPECT_TRUE(report.Clean());
  EXPECT_EQ(report.quantised_weights.at(checkpoint::WeightFormat::kNvfp4), 3 * 4 * 3);
}

TEST_F(CleanTest, NothingFiresOnANativeCheckpoint) {
  EXPECT_RULES(Audit(NativeWithMtp(), /*full=*/true));
}

TEST_F(CleanTest, NothingFiresOnTheExample) {
  const AuditReport report = Validate(
      {.directory = std::string(VERNIER_SOURCE_DIR) + "/examples/mini-deepseek-v4", .full = true});
  EXPECT_RULES(report);
  EXPECT_FALSE(report.quantised_weights.contains(checkpoint::WeightFormat::kNvfp4));
}

TEST_F(CleanTest, WarningsAloneAreClean) {
  const AuditReport report = Audit(MakeNvfp4Model(NativeWithMtp()));
  EXPECT_EQ(report.Count(Severity::kWarning), 1);
  EXPECT_TRUE(report.Clean());
}

using FileDefectTest = AuditTest;

TEST_F(FileDefectTest, StaleTotalSize) {
  MakeNvfp4Model(Native()).Write(Directory());
  const auto path = Directory() / "model.safetensors.index.json";
  Json index = ReadJsonFile(path);
  index["metadata"]["total_size"] = 1;
  WriteFileAtomically(path, index.dump());
  EXPECT_RULES(Validate({.directory = Directory()}), "V13");
}

TEST_F(FileDefectTest, IndexWithoutATensor) {
  MakeNvfp4Model(Native()).Write(Directory());
  const auto path = Directory() / "model.safetensors.index.json";
  Json index = ReadJsonFile(path);
  index["weight_map"].erase("norm.weight");
  WriteFileAtomically(path, index.dump());
  EXPECT_RULES(Validate({.directory = Directory()}), "V13");
}

TEST_F(FileDefectTest, TruncatedShard) {
  MakeNvfp4Model(Native()).Write(Directory());
  const auto path = Directory() / "model-00002-of-00002.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_RULES(Validate({.directory = Directory()}), "B04");
}

TEST_F(FileDefectTest, UnreadableQuantConfig) {
  MakeNvfp4Model(Native()).Write(Directory());
  WriteFileAtomically(Directory() / "hf_quant_config.json", "{");
  EXPECT_RULES(Validate({.directory = Directory()}), "V13");
}

}  // namespace
}  // namespace vernier::audit
