// Defects of a DeepSeek-V4 checkpoint with NVFP4 experts.
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "tests/audit/corpus.h"

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

std::vector<DefectCase> ScaleDefects() {
  return {
      {"W3HasAnotherGlobalScale",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW3, ".weight_scale_2")), 0.125f); },
       {"V01"}},
      {"W3HasAnotherInputScale",
       [](ModelFiles& m) { SetFloat(&m.At(Part(kW3, ".input_scale")), 0.0075f); },
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
      {"LastBlockScaleZeroOverValues",
       [](ModelFiles& m) {
         TestTensor& scales = m.At(Part(kW2, ".weight_scale"));
         SetByte(&scales, scales.bytes.size() - 1, 0);
         TestTensor& weight = m.At(Part(kW2, ".weight"));
         SetByte(&weight, weight.bytes.size() - 1, 0x10);
       },
       {"B02"}},
      {"E8m0ScaleOfAnMtpExpertNan",
       [](ModelFiles& m) { SetByte(&m.At("mtp.0.ffn.experts.0.w1.scale"), 3, 0xFF); },
       {"B03", "V03"},
       Base::kDeepseekV4Mtp},
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

void SetInputScale(ModelFiles& model, const std::string& module, float scale) {
  SetFloat(&model.At(module + ".input_scale"), scale);
}

std::vector<DefectCase> StatisticDefects() {
  const std::string first = "layers.1.ffn.experts.0.";
  return {
      {"InputScaleFarAboveItsLayer", [](ModelFiles& m) { SetInputScale(m, kW2, 0.5f); }, {"S01"}},
      {"InputScaleFarBelowItsLayer",
       [](ModelFiles& m) {
         SetInputScale(m, kW1, 1e-5f);
         SetInputScale(m, kW3, 1e-5f);
       },
       {"S01", "S02"}},
      {"ExpertsShareTheLargestInputScaleOfW2",
       [=](ModelFiles& m) { SetInputScale(m, first + "w2", 0.004f); },
       {"S02"}},
      {"ExpertsShareTheLargestInputScaleOfW1",
       [=](ModelFiles& m) {
         SetInputScale(m, first + "w1", 0.004f);
         SetInputScale(m, first + "w3", 0.004f);
       },
       {"S02"}},
      {"AllBlockScalesAtMaximum",
       [](ModelFiles& m) {
         for (std::byte& scale : m.At(Part(kW2, ".weight_scale")).bytes) scale = std::byte{0x7E};
       },
       {"S03"}},
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
       Base::kDeepseekV4,
       AuditDepth::kFull},
      {"Fp8CodeIsNan",
       [](ModelFiles& m) { SetByte(&m.At("layers.0.attn.wq_b.weight"), 9, 0xFF); },
       {"B05"},
       Base::kDeepseekV4,
       AuditDepth::kFull},
      {"SinkIsInfinite",
       [](ModelFiles& m) {
         SetFloat(&m.At("layers.0.attn.attn_sink"), std::numeric_limits<float>::infinity());
       },
       {"B05"},
       Base::kDeepseekV4,
       AuditDepth::kFull},
  };
}

std::vector<DefectCase> ModelOfV4Defects() {
  return {
      {"MtpAnnouncedButAbsent",
       [](ModelFiles& m) { m.config["num_nextn_predict_layers"] = 1; },
       {"V06"}},
      {"MtpExpertsAreMxfp4", [](ModelFiles&) {}, {"V03"}, Base::kDeepseekV4Mtp},
      {"MtpPresentButNotAnnounced",
       [](ModelFiles& m) { m.config["num_nextn_predict_layers"] = 0; },
       {"V03", "V06"},
       Base::kDeepseekV4Mtp},
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
       {"V13"}},
      {"Fp8ModuleListed",
       [](ModelFiles& m) { m.ListLayer("layers.1.ffn.shared_experts.w1"); },
       {"V05"}},
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
       {"V05", "V13"}},
      {"ConfigsDisagree",
       [](ModelFiles& m) { m.Nested()["exclude_modules"].push_back("embed"); },
       {"V13"}},
      {"GroupSizeMissing",
       [](ModelFiles& m) {
         m.Inline().erase("group_size");
         m.Nested().erase("group_size");
       },
       {"V05", "V13"}},
      {"ExclusionsMissing",
       [](ModelFiles& m) {
         m.Inline().erase("ignore");
         m.Nested().erase("exclude_modules");
       },
       {"V13"}},
      {"WrongQuantMethod",
       [](ModelFiles& m) { m.Inline()["quant_method"] = "modelopt"; },
       {"V05", "V15"}},
      {"NoMoeQuantAlgo", [](ModelFiles& m) { m.Inline().erase("moe_quant_algo"); }, {"V05", "V15"}},
      {"NotMixedPrecision",
       [](ModelFiles& m) {
         m.Inline()["quant_algo"] = "NVFP4";
         m.Nested()["quant_algo"] = "NVFP4";
       },
       {"V05", "V15"}},
      {"WrongBlockSize", [](ModelFiles& m) { m.Inline().erase("weight_block_size"); }, {"V15"}},
      {"WrongExpertDtype", [](ModelFiles& m) { m.config["expert_dtype"] = "fp8"; }, {"V05", "V15"}},
      {"LeftoverScale",
       [](ModelFiles& m) {
         m.tensors.push_back(MakeTensor(Part(kW1, ".scale"), DType::kF8E8M0, {64, 2},
                                        std::vector<uint8_t>(128, 120)));
       },
       {"C03", "V15"}},
      {"MtpMxfp4StoredAsU8",
       [](ModelFiles& m) { m.At("mtp.0.ffn.experts.0.w1.weight").spec.dtype = DType::kU8; },
       {"V03", "V15"},
       Base::kDeepseekV4Mtp},
      {"AttentionIsNvfp4",
       [](ModelFiles& m) {
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"head"};
         QuantizeModule(&m, "layers.1.attn.wo_b");
       },
       {"V15"}},
  };
}

}  // namespace

std::vector<DefectCase> DeepseekV4Defects() {
  return JoinCases(
      {ScaleDefects(), StatisticDefects(), FormatDefects(), ModelOfV4Defects(), ConfigDefects()});
}

}  // namespace vernier::audit
