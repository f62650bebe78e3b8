// What must hold of any checkpoint, whatever its model: every linear layer is asked about, what is
// not judged is not accused, and what nobody claims is named.
#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "audit/report_text.h"
#include "tests/audit/audit_test_base.h"
#include "tests/audit/hf_nvfp4_model.h"
#include "tests/support/expect_error.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MakeTensor;
using testing::TestTensor;

constexpr int64_t kHidden = 128;  // of MakeLlamaNvfp4

TestTensor Plain(const std::string& name, std::vector<int64_t> shape, uint16_t value = 0x3F00) {
  return testing::Filled(name, DType::kBF16, std::move(shape), value);
}

void AddLinear(ModelFiles& model, const std::string& module) {
  model.tensors.push_back(Plain(module + ".weight", {kHidden, kHidden}));
}

// In all configurations that the model has.
void Exclude(ModelFiles& model, const std::string& module) {
  model.Inline()["ignore"].push_back(module);
  if (!model.quant_config.is_null()) model.Nested()["exclude_modules"].push_back(module);
}

// All that is named by findings of `rule`.
std::vector<std::string> Named(const AuditReport& report, const std::string& rule) {
  std::vector<std::string> named;
  for (const Finding& finding : report.findings) {
    if (finding.rule != rule) continue;
    named.insert(named.end(), finding.tensors.begin(), finding.tensors.end());
  }
  return named;
}

EngineSet EnginesOf(const AuditReport& report, const std::string& rule) {
  EngineSet engines;
  for (const Finding& finding : report.findings) {
    for (const Engine engine : kEngines) {
      if (finding.rule == rule && finding.engines.Has(engine)) engines.Add(engine);
    }
  }
  return engines;
}

// --- config.json.

TEST_F(AuditTest, ADirectoryWithoutConfigJsonIsNone) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.Write(Directory());
  std::filesystem::remove(Directory() / "config.json");
  EXPECT_THAT(Named(Validate({.directory = Directory()}), "C03"), Contains("config.json"));
}

// --- Plain linear layers beside quantised ones.

class PropertiesTest : public AuditTest {
 protected:
  AuditReport AuditFor(const ModelFiles& model, const std::string& engines) const {
    model.Write(Directory());
    return Validate({.directory = Directory(), .engines = EnginesFromOption(engines)});
  }
};

class PlainLinearTest : public PropertiesTest, public ::testing::WithParamInterface<QuantDialect> {
 protected:
  ModelFiles Base() const { return MakeLlamaNvfp4(GetParam()); }
};

const char* const kUnlisted[] = {
    "visual.blocks.3.attn.qkv",  // Qwen's vision tower
    "mm_projector.0", "model.layers.0.linear_attn.out_proj",
    "backbone.stages.2.mixer.some_linear",  // of no model that anybody knows
};

TEST_P(PlainLinearTest, IsAnErrorUnlessItIsExcluded) {
  for (const std::string module : kUnlisted) {
    SCOPED_TRACE(module);
    ModelFiles model = Base();
    AddLinear(model, module);
    const AuditReport report = Audit(model);
    EXPECT_RULES(report, "V05");
    EXPECT_FALSE(report.Clean());
    EXPECT_THAT(Named(report, "V05"),
                Contains(AllOf(HasSubstr(module + " ("), HasSubstr("read as nvfp4"))));
    Exclude(model, module);
    EXPECT_RULES(Audit(model));
  }
}

ModelFiles WithDeltaNet(ModelFiles model) {
  AddLinear(model, HfModule(0, "linear_attn.in_proj_qkv"));
  AddLinear(model, HfModule(0, "linear_attn.in_proj_z"));
  return model;
}

TEST_P(PlainLinearTest, AFusedMatrixIsNamedAsEnginesBuildIt) {
  const std::string attention = HfModule(0, "linear_attn.");
  ModelFiles model = WithDeltaNet(Base());
  const AuditReport report = Audit(model);
  EXPECT_RULES(report, "V05");
  EXPECT_THAT(Named(report, "V05"),
              Contains(AllOf(HasSubstr(attention + "in_proj_qkvz ("), HasSubstr("nvfp4"))));
  Exclude(model, attention + "in_proj_qkv");
  EXPECT_THAT(Named(Audit(model), "V05"),
              Contains(HasSubstr("only some of its members are in the")));
  Exclude(model, attention + "in_proj_z");
  EXPECT_RULES(AuditFor(model, "vllm,trtllm"));
}

// Disagrees: SGLang 0.5.23 asks for in_proj_qkv and in_proj_z, as its model
// (packed_modules_mapping of models/qwen3_5.py) says, the simulation for the fused name alone.
TEST_P(PlainLinearTest, AFusedMatrixWhoseMembersAreExcludedIsCleanForSglang) {
  ModelFiles model = WithDeltaNet(Base());
  Exclude(model, HfModule(0, "linear_attn.in_proj_qkv"));
  Exclude(model, HfModule(0, "linear_attn.in_proj_z"));
  EXPECT_RULES(AuditFor(model, "sglang"));
}

// A member without the other is a matrix of its own.
TEST_P(PlainLinearTest, APartOfAFusedMatrixAloneIsOneOfItsOwn) {
  const std::string part = HfModule(0, "linear_attn.in_proj_z");
  ModelFiles model = Base();
  AddLinear(model, part);
  EXPECT_THAT(Named(Audit(model), "V05"), Contains(HasSubstr(part + " (")));
  Exclude(model, part);
  EXPECT_RULES(Audit(model));
}

TEST_P(PlainLinearTest, NormsConvolutionsAndTablesAreNone) {
  ModelFiles model = Base();
  model.tensors.push_back(Plain("visual.blocks.0.norm1.weight", {kHidden}));
  model.tensors.push_back(Plain("visual.patch_embed.proj.weight", {kHidden, 3, 2, 4, 4}));
  model.tensors.push_back(Plain("visual.pos_embed.weight", {16, kHidden}));
  model.tensors.push_back(Plain(HfModule(0, "linear_attn.conv1d.weight"), {kHidden, 1, 4}));
  const AuditReport report = Audit(model);
  EXPECT_RULES(report);
  EXPECT_THAT(report.unclaimed, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Dialects, PlainLinearTest,
                         ::testing::Values(QuantDialect::kModelopt,
                                           QuantDialect::kCompressedTensors),
                         [](const auto& info) {
                           return info.param == QuantDialect::kModelopt ? "Modelopt"
                                                                        : "CompressedTensors";
                         });

// Kimi K2.5's code gives its tower no quantisation configuration; that of other models does.
TEST_F(PropertiesTest, KimisTowersArePlainInCompressedTensors) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kCompressedTensors);
  AddLinear(model, "vision_tower.encoder.blocks.0.wqkv");
  AddLinear(model, "mm_projector.proj.0");
  model.config["model_type"] = "kimi_k25";
  EXPECT_RULES(Audit(model));
  AddLinear(model, "another_tower.proj");
  EXPECT_THAT(Named(Audit(model), "V05"), ElementsAre(HasSubstr("another_tower.proj (")));
  model.Remove("another_tower.proj.weight");
  model.config["model_type"] = "llama";
  EXPECT_THAT(Named(Audit(model), "V05"),
              AllOf(Contains(HasSubstr("vision_tower.encoder.blocks.0.wqkv (")),
                    Contains(HasSubstr("mm_projector.proj.0 ("))));
}

TEST_F(PropertiesTest, VisionTowersAreLeftAloneByVllmAlone) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  AddLinear(model, "vision_tower.blocks.0.wqkv");
  const AuditReport report = Audit(model);
  EXPECT_RULES(report, "V05");
  EXPECT_EQ(EnginesOf(report, "V05"), EngineSet({Engine::kSglang}));
}

TEST(MtpLayers, ThatNoReleaseHoldsAreAWarning) {
  const AuditReport report = Validate(
      {.directory = std::filesystem::path(VERNIER_TEST_DATA) / "models" / "minimax_m2_fp8"});
  EXPECT_TRUE(RulesOf(report).contains("V06"));
  EXPECT_TRUE(report.Clean()) << ReportText(report);
}

TEST(StacksOfExperts, AsTheyAreReleasedAreNoDefect) {
  for (const char* model : {"qwen3_5_moe_vision", "gpt_oss", "gpt_oss_bf16"}) {
    const AuditReport report =
        Validate({.directory = std::filesystem::path(VERNIER_TEST_DATA) / "models" / model});
    EXPECT_TRUE(report.Clean()) << model << ReportText(report);
  }
}

// --- Formats and methods that are not judged.

// A Llama without quantisation; `replace` puts something in the place of each linear layer.
template <typename Replace>
ModelFiles LlamaOf(Replace replace) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kCompressedTensors);
  model.config.erase("quantization_config");
  constexpr std::string_view kPacked = ".weight_packed";
  std::vector<std::pair<std::string, int64_t>> linears;  // module, rows
  for (const TestTensor& tensor : model.tensors) {
    const std::string& name = tensor.spec.name;
    if (!name.ends_with(kPacked)) continue;
    linears.emplace_back(name.substr(0, name.size() - kPacked.size()), tensor.spec.shape[0]);
  }
  std::erase_if(model.tensors, [](const TestTensor& tensor) {
    const std::string& name = tensor.spec.name;
    return name.find("_proj.") != std::string::npos;
  });
  for (const auto& [module, rows] : linears) {
    const int64_t columns = module.ends_with("down_proj") ? 2 * kHidden : kHidden;
    replace(module, rows, columns, &model.tensors);
  }
  return model;
}

void AddPlain(const std::string& module, int64_t rows, int64_t columns,
              std::vector<TestTensor>* tensors) {
  tensors->push_back(Plain(module + ".weight", {rows, columns}));
}

void AddGptq(const std::string& module, int64_t rows, int64_t columns,
             std::vector<TestTensor>* tensors) {
  const auto words = [](std::vector<int64_t> shape) {
    return std::vector<int32_t>(static_cast<size_t>(shape[0] * shape[1]), 0x12345678);
  };
  const int64_t groups = columns / 128;
  tensors->push_back(MakeTensor(module + ".qweight", DType::kI32, {columns / 8, rows},
                                words({columns / 8, rows})));
  tensors->push_back(
      MakeTensor(module + ".qzeros", DType::kI32, {groups, rows / 8}, words({groups, rows / 8})));
  tensors->push_back(MakeTensor(module + ".scales", DType::kF16, {groups, rows},
                                std::vector<uint16_t>(static_cast<size_t>(groups * rows), 0x2000)));
  tensors->push_back(MakeTensor(module + ".g_idx", DType::kI32, {columns},
                                std::vector<int32_t>(static_cast<size_t>(columns), 0)));
}

void AddInt8(const std::string& module, int64_t rows, int64_t columns,
             std::vector<TestTensor>* tensors) {
  tensors->push_back(MakeTensor(module + ".weight", DType::kI8, {rows, columns},
                                std::vector<int8_t>(static_cast<size_t>(rows * columns), -3)));
  tensors->push_back(Plain(module + ".weight_scale", {rows, 1}));
}

using NotJudgedTest = PropertiesTest;

TEST_F(NotJudgedTest, Gptq) {
  ModelFiles model = LlamaOf(AddGptq);
  model.config["quantization_config"] = {
      {"quant_method", "gptq"}, {"bits", 4}, {"group_size", 128}};
  const AuditReport report = Audit(model, /*full=*/true);
  EXPECT_RULES(report, "J02");
  EXPECT_EQ(report.Count(Severity::kInfo), 2);  // the method, and its weights
  EXPECT_THAT(Named(report, "J02"), Contains("quant_method gptq"));
  EXPECT_EQ(report.quantised_weights.at(checkpoint::formats::kGptq), 14);
  for (const EngineVerdict& verdict : report.engines) EXPECT_EQ(verdict.disagreements, 0);
}

TEST_F(NotJudgedTest, Int8) {
  ModelFiles model = LlamaOf(AddInt8);
  const Json weights = {{"num_bits", 8}, {"type", "int"}, {"strategy", "channel"}};
  model.config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"format", "int-quantized"},
      {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}},
      {"ignore", {"lm_head"}}};
  const AuditReport report = Audit(model, /*full=*/true);
  EXPECT_RULES(report, "J02");
  EXPECT_EQ(report.quantised_weights.at(checkpoint::formats::kInt8), 14);
}

TEST_F(NotJudgedTest, AMethodThatNobodyKnows) {
  ModelFiles model = LlamaOf(AddPlain);
  model.config["quantization_config"] = {{"quant_method", "invented_last_week"}};
  const AuditReport report = Audit(model, /*full=*/true);
  EXPECT_RULES(report, "J02");
  EXPECT_THAT(Named(report, "J02"), ElementsAre("quant_method invented_last_week"));
}

// What is judged beside it still is.
TEST_F(NotJudgedTest, HidesNoDefectOfAnotherWeight) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  const std::string module = HfModule(0, "self_attn.o_proj");
  for (const char* part : {".weight", ".weight_scale", ".weight_scale_2", ".input_scale"}) {
    model.Remove(module + part);
  }
  AddGptq(module, kHidden, kHidden, &model.tensors);
  EXPECT_RULES(Audit(model), "J02");
  model.Remove(HfModule(1, "self_attn.o_proj.weight_scale"));
  EXPECT_RULES(Audit(model), "J02", "V02");
}

// --- Formats that are announced and not there.

using AnnouncedTest = PropertiesTest;

TEST_F(AnnouncedTest, AFormatThatNoWeightIsStoredInIsAnErrorInAnyModel) {
  for (const char* model_type : {"llama", "gpt_neox", "a_model_of_tomorrow", "deepseek_v3"}) {
    SCOPED_TRACE(model_type);
    ModelFiles model = LlamaOf(AddPlain);
    model.config["model_type"] = model_type;
    EXPECT_THAT(Named(Audit(model), "V13"), IsEmpty());
    const Json nvfp4 = MakeLlamaNvfp4(QuantDialect::kCompressedTensors).Inline();
    model.config["quantization_config"] = nvfp4;
    EXPECT_THAT(Named(Audit(model), "V13"), Contains("group_0"));
    model.config["quantization_config"] = {{"quant_method", "fp8"},
                                           {"weight_block_size", {128, 128}}};
    const AuditReport report = Audit(model);
    EXPECT_THAT(Named(report, "V13"), Contains("quant_method fp8"));
    EXPECT_FALSE(report.Clean());
  }
}

TEST_F(AnnouncedTest, OneOfTwoFormatsIsMissed) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kCompressedTensors);
  const Json rows = {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}};
  model.Inline()["config_groups"]["group_1"] = {{"targets", {"re:nothing"}}, {"weights", rows}};
  EXPECT_THAT(Named(AuditFor(model, "vllm"), "V13"), ElementsAre("group_1"));
}

// --- What no module claims, and what engines skip.

using ExtrasTest = PropertiesTest;

TEST_F(ExtrasTest, MatricesThatNoModuleClaimsAreNamed) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  EXPECT_THAT(ReportText(Audit(model)), HasSubstr("0 matrices that no module claimed"));
  model.tensors.push_back(Plain(HfModule(0, "mixer.transition"), {8, 16}));
  model.tensors.push_back(Plain("adapter_table", {4, 8, 16}));
  model.tensors.push_back(Plain("a_vector", {16}));
  model.tensors.push_back(Plain("a_kernel", {2, 3, 4, 4}));
  const AuditReport report = Audit(model);
  EXPECT_THAT(report.unclaimed,
              ::testing::UnorderedElementsAre(HfModule(0, "mixer.transition"), "adapter_table"));
  EXPECT_THAT(ReportText(report),
              AllOf(HasSubstr("2 matrices that no module claimed: "), HasSubstr("adapter_table")));
}

TEST_F(ExtrasTest, ALinearLayerIsClaimedWhateverItsName) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  AddLinear(model, "something.nobody.named");
  Exclude(model, "something.nobody.named");
  EXPECT_THAT(Audit(model).unclaimed, IsEmpty());
}

TEST_F(ExtrasTest, BuffersThatEnginesSkipAreWorthKnowing) {
  const std::string buffer = HfModule(0, "self_attn.rotary_emb.inv_freq");
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.tensors.push_back(MakeTensor(buffer, DType::kF32, {32}, std::vector<float>(32, 1.0f)));
  const AuditReport report = Audit(model);
  EXPECT_RULES(report, "C03");
  EXPECT_EQ(report.Count(Severity::kInfo), 1);
  EXPECT_TRUE(report.Clean());
  EXPECT_THAT(Named(report, "C03"), ElementsAre(HasSubstr(buffer)));
}

// The same in a model with a list of its own, where everything else without a place is an error.
TEST_F(ExtrasTest, BuffersAreNoErrorInAModelThatIsKnown) {
  ModelFiles model = MakeBase(Base::kDeepseekV4);
  model.tensors.push_back(
      MakeTensor("layers.0.attn.rotary_emb.inv_freq", DType::kF32, {4}, std::vector<float>(4, 1)));
  AuditReport report = Audit(model);
  EXPECT_RULES(report, "C03");
  EXPECT_TRUE(report.Clean());
  model.tensors.push_back(
      MakeTensor("layers.0.invented", DType::kF32, {4}, std::vector<float>(4, 1)));
  report = Audit(model);
  EXPECT_FALSE(report.Clean());
  EXPECT_THAT(Named(report, "C03"), Contains(HasSubstr("layers.0.invented")));
}

// --- A head beside the embedding that it is tied to.

using TiedHeadTest = PropertiesTest;

TEST_F(TiedHeadTest, IsWarnedAboutWhenItDiffers) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.config["tie_word_embeddings"] = true;
  EXPECT_THAT(Named(Audit(model), "V04"), IsEmpty());
  model.At("lm_head.weight").bytes.back() ^= std::byte{1};
  const AuditReport report = Audit(model);
  EXPECT_THAT(Named(report, "V04"), ElementsAre("lm_head"));
  EXPECT_EQ(report.Count(Severity::kWarning), 1);
  EXPECT_TRUE(report.Clean());
  model.config["tie_word_embeddings"] = false;
  EXPECT_RULES(Audit(model));
}

TEST_F(TiedHeadTest, OfAnotherDtypeDiffers) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.config["tie_word_embeddings"] = true;
  model.At("lm_head.weight").spec.dtype = DType::kF16;
  EXPECT_THAT(Named(Audit(model), "V04"), ElementsAre("lm_head"));
}

// --- Engines and their releases.

TEST(EnginesOption, NamesEnginesAndReleases) {
  EXPECT_EQ(EnginesFromOption("all").set, EngineSet::All());
  EXPECT_EQ(EnginesFromOption("all").vllm, kNewestVllm);
  const EnginesAsked newest = EnginesFromOption("vllm");
  EXPECT_EQ(newest.set, EngineSet({Engine::kVllm}));
  EXPECT_EQ(newest.vllm, kNewestVllm);
  EXPECT_EQ(newest.Release(Engine::kVllm), "0.33");
  const EnginesAsked older = EnginesFromOption("sglang,vllm@0.31");
  EXPECT_EQ(older.set, EngineSet({Engine::kVllm, Engine::kSglang}));
  EXPECT_EQ(older.vllm, (EngineRelease{0, 31, 0}));
  EXPECT_EQ(older.Release(Engine::kVllm), "0.31");
  EXPECT_EQ(older.Release(Engine::kSglang), "0.5.23");
  EXPECT_EQ(older.Release(Engine::kTensorRtLlm), "");
  EXPECT_EQ(EnginesFromOption("vllm@0.32.1").vllm, (EngineRelease{0, 32, 1}));
  EXPECT_EQ(EnginesFromOption("sglang@0.5.23").set, EngineSet({Engine::kSglang}));
  EXPECT_EQ(EnginesFromOption("trtllm").set, EngineSet({Engine::kTensorRtLlm}));
}

TEST(EnginesOption, RefusesWhatIsNotKnown) {
  for (const char* option :
       {"vllm@0.30", "vllm@0.34", "vllm@1.33", "vllm@", "vllm@0", "vllm@0.31.0.1", "vllm@0.x",
        "vllm@-1.33", "vllm@ 0.33", "sglang@0.5.22", "sglang@0.5", "trtllm@1.0", "all@0.33"}) {
    EXPECT_VERNIER_ERROR(EnginesFromOption(option), ErrorCode::kBadArgument, option);
  }
  for (const char* option : {"", "vllm,", ",", "vLLM", "tgi", "vllm,tgi", "vllm,all", " vllm"}) {
    SCOPED_TRACE(option);
    EXPECT_VERNIER_ERROR(EnginesFromOption(option), ErrorCode::kBadArgument,
                         "is no engine that is known");
  }
}

// QuantAlgo of tensorrt_llm/quantization/mode.py, besides what its reader translates.
const char* const kTensorRtLlmAlgos[] = {
    "W4A16_AWQ",      "W4A8_AWQ",  "W4A16_GPTQ", "W8A16", "W4A16", "W8A8_SQ_PER_CHANNEL",
    "W4A8_NVFP4_FP8", "NVFP4",     "NVFP4_AWQ",  "FP8",   "MXFP8", "FP8_BLOCK_SCALES",
    "W4A8_MXFP4_FP8", "FP8_PB_WO", "NO_QUANT",
};

TEST_F(PropertiesTest, TensorRtLlmTakesEveryAlgorithmOfItsList) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  const auto refusal = [&](const std::string& algo, Engine engine) {
    model.Inline()["quant_algo"] = model.Nested()["quant_algo"] = algo;
    const AuditReport report = Audit(model);
    const auto verdict = std::ranges::find(report.engines, engine, &EngineVerdict::engine);
    return verdict->refusal;
  };
  for (const char* algo : kTensorRtLlmAlgos) {
    EXPECT_EQ(refusal(algo, Engine::kTensorRtLlm), "") << algo;
  }
  EXPECT_NE(refusal("W4A17", Engine::kTensorRtLlm), "");
  EXPECT_NE(refusal("W4A16_AWQ", Engine::kVllm), "");
}

// What one engine takes is no error for all.
TEST_F(PropertiesTest, ARefusalByOneEngineIsAWarning) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.Inline()["quant_algo"] = model.Nested()["quant_algo"] = "NVFP4_AWQ";
  const AuditReport report = Audit(model);
  EXPECT_RULES(report, "V13");
  EXPECT_EQ(EnginesOf(report, "V13"), EngineSet({Engine::kVllm}));
  EXPECT_TRUE(report.Clean());
}

// --- DeepSeek-V4's experts in releases of vLLM.

using ReleaseTest = PropertiesTest;

TEST_F(ReleaseTest, ExcludedMtpExpertsAreReadAsTheyAreFromVllm032On) {
  const ModelFiles model = MakeBase(Base::kDeepseekV4Mtp);
  const AuditReport old = AuditFor(model, "vllm@0.31");
  EXPECT_RULES(old, "V03");
  EXPECT_THAT(Named(old, "V03"), ElementsAre(AllOf(HasSubstr("mtp.0.ffn.experts (stored mxfp4"),
                                                   HasSubstr("read as nvfp4"))));
  for (const char* engine : {"vllm@0.32", "vllm@0.32.1", "vllm@0.33", "vllm", "sglang"}) {
    SCOPED_TRACE(engine);
    EXPECT_RULES(AuditFor(model, engine));
  }
  EXPECT_RULES(AuditFor(model, "trtllm"), "V03");
}

TEST_F(ReleaseTest, MtpExpertsThatNothingExcludesAreReadAsNvfp4ByAnyVllm) {
  ModelFiles model = MakeBase(Base::kDeepseekV4Mtp);
  model.Inline()["ignore"] = model.Nested()["exclude_modules"] = {"head"};
  for (const char* engine : {"vllm@0.31", "vllm@0.32", "vllm@0.33"}) {
    SCOPED_TRACE(engine);
    EXPECT_RULES(AuditFor(model, engine), "V03");
  }
}

TEST_F(ReleaseTest, ExcludedNvfp4ExpertsAreReadOtherwiseFromVllm032On) {
  ModelFiles model = MakeBase(Base::kDeepseekV4);
  Exclude(model, "layers.1.ffn.experts");
  EXPECT_THAT(Named(AuditFor(model, "vllm@0.31"), "V05"), IsEmpty());
  const AuditReport report = AuditFor(model, "vllm@0.32");
  EXPECT_RULES(report, "V05");
  EXPECT_THAT(Named(report, "V05"),
              ElementsAre(AllOf(HasSubstr("layers.1.ffn.experts (stored nvfp4"),
                                HasSubstr("read as mxfp4"))));
}

}  // namespace
}  // namespace vernier::audit
