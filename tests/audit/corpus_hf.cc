// Defects of checkpoints with Hugging Face's names, in both dialects.
#include <string>
#include <vector>

#include "tests/audit/corpus.h"
#include "tests/audit/hf_nvfp4_model.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;
using testing::TestTensor;

constexpr auto kLlama = Base::kLlama;
constexpr auto kMoe = Base::kQwenMoe;
constexpr auto kCompressed = Base::kCompressedLlama;

void Exclude(ModelFiles& model, const std::string& pattern) {
  model.Inline()["ignore"].push_back(pattern);
  model.Nested()["exclude_modules"].push_back(pattern);
}

void MakePlain(ModelFiles& model, const std::string& module, std::vector<int64_t> shape) {
  for (const char* suffix : {".weight", ".weight_packed", ".weight_scale", ".weight_scale_2",
                             ".weight_global_scale", ".input_scale", ".input_global_scale"}) {
    model.Remove(module + suffix);
  }
  const auto count = static_cast<size_t>(shape[0] * shape[1]);
  model.tensors.push_back(
      MakeTensor(module + ".weight", DType::kBF16, shape, std::vector<uint16_t>(count, 0x3F00)));
}

// An NVFP4 weight beside what is there, of all ones.
void AddNvfp4(ModelFiles& model, const std::string& module, int64_t rows, int64_t columns) {
  model.Remove(module + ".weight");
  const auto bytes = static_cast<size_t>(rows * columns / 2);
  model.tensors.push_back(MakeTensor(module + ".weight", DType::kU8, {rows, columns / 2},
                                     std::vector<uint8_t>(bytes, 0x22)));
  model.tensors.push_back(MakeTensor(module + ".weight_scale", DType::kF8E4M3, {rows, columns / 16},
                                     std::vector<uint8_t>(bytes / 8, 0x38)));
  for (const char* suffix : {".weight_scale_2", ".input_scale"}) {
    model.tensors.push_back(
        MakeTensor(module + suffix, DType::kF32, {}, std::vector<float>{0.01f}));
  }
}

void AddGroup(ModelFiles& model, const std::string& target, int64_t bits) {
  model.Inline()["config_groups"]["group_1"] = {
      {"targets", {target}},
      {"weights",
       {{"num_bits", bits},
        {"type", "float"},
        {"strategy", bits == 8 ? "channel" : "tensor_group"},
        {"group_size", 16}}}};
}

std::vector<DefectCase> FusedDefects() {
  return {
      {"KeysHaveAnotherGlobalScale",
       [](ModelFiles& m) {
         SetFloat(&m.At(HfModule(0, "self_attn.k_proj.weight_scale_2")), 0.02f);
       },
       {"V08"},
       kLlama},
      {"UpHasAnotherInputScale",
       [](ModelFiles& m) { SetFloat(&m.At(HfModule(1, "mlp.up_proj.input_scale")), 0.02f); },
       {"V08"},
       kLlama},
      {"GateOfAnExpertHasAnotherGlobalScale",
       [](ModelFiles& m) {
         SetFloat(&m.At(HfModule(0, "mlp.experts.1.gate_proj.weight_scale_2")), 0.02f);
       },
       {"V01"},
       kMoe},
      {"ValuesAreNotQuantised",
       [](ModelFiles& m) {
         MakePlain(m, HfModule(0, "self_attn.v_proj"), {128, 128});
       },
       {"V08"},
       kLlama},
      {"DivisorsDiffer",
       [](ModelFiles& m) {
         SetFloat(&m.At(HfModule(0, "mlp.up_proj.weight_global_scale")), 50.0f);
       },
       {"V08"},
       kCompressed},
  };
}

std::vector<DefectCase> EngineDefects() {
  return {
      {"HeadNotExcluded",
       [](ModelFiles& m) { m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"nothing"}; },
       {"V04"},
       kLlama},
      {"QuantisedHeadIsExcluded",
       [](ModelFiles& m) { AddNvfp4(m, "lm_head", 64, 128); },
       {"V04"},
       kLlama},
      {"HeadMissing", [](ModelFiles& m) { m.Remove("lm_head.weight"); }, {"V04"}, kLlama},
      {"TiedHeadIsQuantised",
       [](ModelFiles& m) {
         m.config["tie_word_embeddings"] = true;
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = {"nothing"};
         AddNvfp4(m, "lm_head", 64, 128);
       },
       {"C03", "V04"},
       kLlama},
      {"TiedHeadIsAbsent",
       [](ModelFiles& m) {
         m.config["tie_word_embeddings"] = true;
         m.Remove("lm_head.weight");
       },
       {},
       kLlama},
      {"GateIsASubstringOfGateUp",
       [](ModelFiles& m) { Exclude(m, HfModule(0, "mlp.gate")); },
       {"V05"},
       kLlama},
      {"LayerWildcardIsAPrefixInHuggingFaceNames",
       [](ModelFiles& m) { Exclude(m, "model.layers.1*"); },
       {"V05"},
       kLlama},
      {"OneMemberOfAFusedMatrixIsExcluded",
       [](ModelFiles& m) { Exclude(m, HfModule(0, "self_attn.q_proj")); },
       {"V05"},
       kLlama},
      {"OneExpertIsExcluded",
       [](ModelFiles& m) { Exclude(m, HfModule(0, "mlp.experts.1.up_proj")); },
       {"V05"},
       kMoe},
      {"RouterIsNotExcluded",
       [](ModelFiles& m) {
         Json kept = Json::array();
         for (const Json& pattern : m.Inline()["ignore"]) {
           if (pattern != HfModule(0, "mlp.gate")) kept.push_back(pattern);
         }
         m.Inline()["ignore"] = m.Nested()["exclude_modules"] = kept;
       },
       {"V05"},
       kMoe},
      {"CompressedIgnoresWhatIsQuantised",
       [](ModelFiles& m) { m.Inline()["ignore"].push_back("re:.*down_proj"); },
       {"V05"},
       kCompressed},
      {"EveryEngineRefuses",
       [](ModelFiles& m) { m.Inline()["quant_algo"] = m.Nested()["quant_algo"] = "NOBODY_KNOWS"; },
       {"V13"},
       kLlama},
  };
}

std::vector<DefectCase> ConfigurationDefects() {
  return {
      {"NoConfigurationAtAll",
       [](ModelFiles& m) {
         m.config.erase("quantization_config");
         m.quant_config = nullptr;
       },
       {"V05", "V07", "V13"},
       kLlama},
      {"OnlyTheFile",
       [](ModelFiles& m) { m.config.erase("quantization_config"); },
       {"V13"},
       kLlama},
      {"CacheScalesWithoutACache",
       [](ModelFiles& m) {
         m.Inline().erase("kv_cache_scheme");
         m.Nested()["kv_cache_quant_algo"] = nullptr;
       },
       {"V07"},
       kLlama},
      {"ValueScaleMissing",
       [](ModelFiles& m) { m.Remove(HfModule(0, "self_attn.v_proj.v_scale")); },
       {"V07"},
       kLlama},
      {"CacheScaleUnderAFusedName",
       [](ModelFiles& m) {
         m.At(HfModule(0, "self_attn.k_proj.k_scale")).spec.name =
             HfModule(0, "self_attn.qkv_proj.k_scale");
         m.Remove(HfModule(0, "self_attn.v_proj.v_scale"));
       },
       {"V07"},
       kLlama},
      {"CacheScaleIsZero",
       [](ModelFiles& m) { SetFloat(&m.At(HfModule(0, "self_attn.k_proj.k_scale")), 0.0f); },
       {"V07"},
       kLlama},
      {"CacheScalesAbsent",
       [](ModelFiles& m) {
         for (int layer : {0, 1}) {
           m.Remove(HfModule(layer, "self_attn.k_proj.k_scale"));
           m.Remove(HfModule(layer, "self_attn.v_proj.v_scale"));
         }
       },
       {"V07"},
       kLlama},
      {"TwoGroupsForOneModule",
       [](ModelFiles& m) {
         AddGroup(m, "re:.*down_proj", 4);
         m.Inline()["config_groups"]["group_2"] = m.Inline()["config_groups"]["group_1"];
         m.Inline()["config_groups"]["group_2"]["weights"]["num_bits"] = 8;
         m.Inline()["config_groups"]["group_2"]["weights"]["strategy"] = "channel";
       },
       {"V13", "V14"},
       kCompressed},
      {"HeadIsALinearTarget",
       [](ModelFiles& m) { m.Inline()["ignore"] = Json::array(); },
       {"V14"},
       kCompressed},
      {"ExpressionDoesNotCompile",
       [](ModelFiles& m) { m.Inline()["ignore"].push_back("re:*("); },
       {"V14"},
       kCompressed},
      {"LayersOverlap",
       [](ModelFiles& m) {
         for (Json* config : {&m.Inline(), &m.Nested()}) {
           (*config)["quantized_layers"] = {
               {HfModule(0, "mlp.experts"), {{"quant_algo", "NVFP4"}}},
               {HfModule(0, "mlp.experts.0.up_proj"), {{"quant_algo", "FP8"}}}};
         }
       },
       {"V13", "V14"},
       kMoe},
  };
}

std::vector<DefectCase> ModelOfHfDefects() {
  return {
      {"ExpertOfQwenMissing",
       [](ModelFiles& m) {
         std::erase_if(m.tensors, [](const TestTensor& tensor) {
           return tensor.spec.name.starts_with(HfModule(1, "mlp.experts.3."));
         });
       },
       {"V09"},
       kMoe},
      {"ExpertsAreStacked",
       [](ModelFiles& m) {
         m.tensors.push_back(MakeTensor(HfModule(0, "mlp.experts.down_proj"), DType::kBF16,
                                        {2, 2, 16}, std::vector<uint16_t>(64, 0)));
       },
       {"V09"},
       kMoe},
      {"DelicateProjectionIsNvfp4",
       [](ModelFiles& m) { AddNvfp4(m, HfModule(0, "linear_attn.in_proj_a"), 64, 128); },
       {"V10"},
       kLlama},
      {"RouterOfQwenIsNvfp4",
       [](ModelFiles& m) { AddNvfp4(m, HfModule(0, "mlp.gate"), 64, 128); },
       {"V10"},
       kMoe},
      {"TooNarrowForFourDevices",
       [](ModelFiles& m) {
         MakePlain(m, HfModule(0, "self_attn.o_proj"), {128, 128});
         AddNvfp4(m, HfModule(0, "self_attn.o_proj"), 128, 96);
       },
       {"V11"},
       kLlama,
       AuditDepth::kScales,
       false,
       /*tensor_parallel=*/4},
      {"ExpertsTooNarrowForTwoDevices",
       [](ModelFiles&) {},
       {"V11"},
       kMoe,
       AuditDepth::kScales,
       false,
       /*tensor_parallel=*/2},
      {"MtpOfAnotherFamilyIsPlain",
       [](ModelFiles& m) {
         m.config["num_nextn_predict_layers"] = 1;
         MakePlain(m, HfModule(2, "self_attn.o_proj"), {128, 128});
       },
       {"V06"},
       kLlama},
      {"LayerOfLlamaMissing",
       [](ModelFiles& m) { m.config["num_hidden_layers"] = 3; },
       {"C03"},
       kLlama},
      {"VocabularyDiffers", [](ModelFiles& m) { m.config["vocab_size"] = 65; }, {"C03"}, kLlama},
  };
}

}  // namespace

std::vector<DefectCase> HuggingFaceDefects() {
  return JoinCases({FusedDefects(), EngineDefects(), ConfigurationDefects(), ModelOfHfDefects()});
}

}  // namespace vernier::audit
