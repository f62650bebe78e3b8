// What engines refuse of formats that they know: experts for which they have no code, and sides
// that blocks do not divide. What one refuses and another loads is a warning.
#include <algorithm>
#include <string>
#include <vector>

#include "audit/engines/explanation.h"
#include "tests/audit/audit_test_base.h"
#include "tests/audit/fp8_model.h"
#include "tests/audit/hf_nvfp4_model.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using ::testing::AllOf;
using ::testing::Contains;
using testing::Filled;
using ::testing::HasSubstr;

constexpr auto kOfModelopt = QuantDialect::kModelopt;
constexpr auto kOfCompressed = QuantDialect::kCompressedTensors;

class EngineFormatsTest : public AuditTest {
 protected:
  AuditReport AuditFor(const ModelFiles& model, const std::string& engines,
                       int tensor_parallel = 1) const {
    model.Write(Directory());
    return Validate({.directory = Directory(),
                     .engines = EnginesFromOption(engines),
                     .tensor_parallel = tensor_parallel});
  }

  static std::vector<std::string> Named(const AuditReport& report, const std::string& rule,
                                        Severity severity, EngineSet engines) {
    std::vector<std::string> named;
    for (const Finding& finding : report.findings) {
      const bool is_it = finding.rule == rule && finding.severity == severity;
      if (!is_it || (finding.engines & engines).empty()) continue;
      named.insert(named.end(), finding.tensors.begin(), finding.tensors.end());
    }
    return named;
  }
};

const EngineSet kOnlyVllm = {Engine::kVllm};
const char kExpertsOfLayer0[] = "model.layers.0.mlp.experts";

TEST_F(EngineFormatsTest, ModeloptsFp8ExpertsHaveOneScale) {
  for (const Fp8Scales scales : {Fp8Scales::kRow, Fp8Scales::kBlock}) {
    const ModelFiles model = MakeFp8Moe({.dialect = kOfModelopt, .scales = scales});
    for (const std::string engines : {"vllm", "all"}) {
      const AuditReport report = AuditFor(model, engines);
      EXPECT_FALSE(report.Clean()) << "no engine asked for loads it";
      EXPECT_THAT(Named(report, "V05", Severity::kError, kOnlyVllm),
                  Contains(AllOf(HasSubstr(kExpertsOfLayer0), HasSubstr("one scale a weight"))));
    }
  }
  EXPECT_RULES(AuditFor(MakeFp8Moe({.dialect = kOfModelopt, .input_scales = true}), "all"));
}

TEST_F(EngineFormatsTest, CompressedTensorsHoldsExpertsByRowsAndBlocks) {
  for (const Fp8Scales scales : {Fp8Scales::kRow, Fp8Scales::kBlock}) {
    const ModelFiles model = MakeFp8Moe({.dialect = kOfCompressed, .scales = scales});
    EXPECT_RULES(AuditFor(model, "vllm,sglang"));
    const AuditReport report = AuditFor(model, "all");
    EXPECT_TRUE(report.Clean()) << ReportText(report);
    EXPECT_THAT(Named(report, "V05", Severity::kWarning, {Engine::kTensorRtLlm}),
                Contains(HasSubstr(kExpertsOfLayer0)));
  }
}

TEST_F(EngineFormatsTest, ExpertsWithOneScaleWantOneForTheirInputs) {
  const ModelFiles dynamic = MakeFp8Moe({.dialect = kOfCompressed});
  for (const std::string engines : {"vllm", "sglang", "all"}) {
    const AuditReport report = AuditFor(dynamic, engines);
    EXPECT_FALSE(report.Clean());
    EXPECT_THAT(Named(report, "V05", Severity::kError, {Engine::kVllm, Engine::kSglang}),
                Contains(AllOf(HasSubstr(kExpertsOfLayer0), HasSubstr("inputs"))));
  }
  EXPECT_RULES(
      AuditFor(MakeFp8Moe({.dialect = kOfCompressed, .input_scales = true}), "vllm,sglang"));
}

// Its reader of compressed-tensors knows FP8 by rows and blocks, NVFP4 and MXFP4.
TEST_F(EngineFormatsTest, WhatTensorRtLlmDoesNotReadIsSaid) {
  const ModelFiles model = MakeFp8Moe({.dialect = kOfCompressed, .input_scales = true});
  const AuditReport report = AuditFor(model, "all");
  EXPECT_TRUE(report.Clean());
  EXPECT_THAT(Named(report, "V13", Severity::kWarning, {Engine::kTensorRtLlm}),
              Contains(HasSubstr("group_0 is fp8_tensor")));
}

// Keys of 192 rows begin and end within blocks.
TEST_F(EngineFormatsTest, PartsOfFusedMatricesEndAtBlocks) {
  const ModelFiles model =
      MakeFp8Moe({.dialect = kOfCompressed, .scales = Fp8Scales::kBlock, .key_rows = 192});
  const AuditReport alone = AuditFor(model, "vllm");
  EXPECT_FALSE(alone.Clean());
  EXPECT_THAT(Named(alone, "V05", Severity::kError, kOnlyVllm),
              Contains(AllOf(HasSubstr("qkv_proj"), HasSubstr("k_proj has 192 rows"))));
}

TEST_F(EngineFormatsTest, ExpertsGatesEndAtBlocks) {
  const ModelFiles model =
      MakeFp8Moe({.dialect = kOfCompressed, .scales = Fp8Scales::kBlock, .expert_width = 192});
  EXPECT_THAT(Named(AuditFor(model, "vllm"), "V05", Severity::kError, kOnlyVllm),
              Contains(AllOf(HasSubstr(kExpertsOfLayer0), HasSubstr("has 192 rows"))));
}

// compressed-tensors rounds the last block of columns up; ModelOpt's reader in vLLM wants whole
// ones, whatever the rows of a matrix of its own.
TEST_F(EngineFormatsTest, ModeloptsBlocksNeedWholeColumns) {
  const auto refused = [&](QuantDialect dialect) {
    const ModelFiles model =
        MakeFp8Moe({.dialect = dialect, .scales = Fp8Scales::kBlock, .hidden = 320});
    return Named(AuditFor(model, "vllm"), "V05", Severity::kError, kOnlyVllm);
  };
  EXPECT_THAT(refused(kOfModelopt),
              Contains(AllOf(HasSubstr("o_proj"), HasSubstr("has 320 columns"))));
  for (const std::string& module : refused(kOfCompressed)) {
    EXPECT_EQ(module.find("o_proj"), std::string::npos) << module;
  }
}

TEST_F(EngineFormatsTest, Fp8BlocksAreNotCutApart) {
  for (const QuantDialect dialect : {kOfModelopt, kOfCompressed}) {
    const ModelFiles model =
        MakeFp8Moe({.dialect = dialect, .scales = Fp8Scales::kBlock, .hidden = 512});
    const AuditReport one = AuditFor(model, "vllm");
    const std::vector<TensorParallelVerdict>& splits = one.engines.front().tensor_parallel;
    EXPECT_EQ(splits[0].problems, 0);
    EXPECT_GT(splits[1].problems, 0) << "experts of 128 rows have one block";
    const AuditReport two = AuditFor(model, "vllm", /*tensor_parallel=*/2);
    EXPECT_THAT(Named(two, "V11", Severity::kError, kOnlyVllm),
                Contains(AllOf(HasSubstr("gate_proj"), HasSubstr("128 rows over 2"),
                               HasSubstr("blocks of 128"))));
  }
}

// Of two heads of 64 on four devices each is held by two, and is half a block.
TEST_F(EngineFormatsTest, HeadsThatDevicesShareAreWholeBlocks) {
  const ModelFiles model = MakeFp8Moe({.dialect = kOfCompressed,
                                       .scales = Fp8Scales::kBlock,
                                       .hidden = 512,
                                       .key_rows = 256,
                                       .expert_width = 1024});
  const auto keys = [&](const ModelFiles& files) {
    std::vector<std::string> named =
        Named(AuditFor(files, "vllm", 4), "V11", Severity::kError, kOnlyVllm);
    std::erase_if(named,
                  [](const std::string& text) { return text.find("k_proj") == std::string::npos; });
    return named;
  };
  EXPECT_TRUE(keys(model).empty()) << "a head of 256 rows on each";
  ModelFiles small = model;
  small.config["head_dim"] = 64;
  EXPECT_THAT(keys(small), Contains(HasSubstr("256 rows over 4, blocks of 128")));
}

// Of two heads nothing is left for the other devices, whatever the rows; keys may be copied.
TEST_F(EngineFormatsTest, DevicesHaveWholeHeads) {
  ModelFiles model = MakeLlamaNvfp4(kOfModelopt);
  const auto problems = [&](int parts) {
    return Named(AuditFor(model, "vllm", parts), "V11", Severity::kError, kOnlyVllm);
  };
  EXPECT_TRUE(problems(2).empty());
  EXPECT_THAT(problems(4), Contains("num_attention_heads (2 over 4)"));
  model.config["num_attention_heads"] = 8;
  model.config["num_key_value_heads"] = 2;
  EXPECT_TRUE(problems(4).empty());
  model.config["num_key_value_heads"] = 3;
  EXPECT_THAT(problems(2), Contains("num_key_value_heads (3 over 2)"));
}

TEST_F(EngineFormatsTest, TheOldNameOfACachesScaleIsTensorRtLlmsTrouble) {
  ModelFiles model = MakeLlamaNvfp4(kOfModelopt);
  model.tensors.push_back(Filled(HfModule(0, "self_attn.kv_scale"), DType::kF32, {}, 0.5f));
  EXPECT_RULES(AuditFor(model, "vllm,sglang"));
  EXPECT_THAT(Named(AuditFor(model, "all"), "V07", Severity::kWarning, {Engine::kTensorRtLlm}),
              Contains("model.layers.0.self_attn.kv_scale"));
}

TEST_F(EngineFormatsTest, Int4GroupsAreNotCutApart) {
  const std::string module = "model.layers.0.mlp.down_proj";
  ModelFiles model;
  model.config = {
      {"model_type", "some_model"},
      {"quantization_config",
       {{"quant_method", "compressed-tensors"},
        {"config_groups",
         {{"group_0",
           {{"targets", {"Linear"}},
            {"weights",
             {{"num_bits", 4}, {"type", "int"}, {"strategy", "group"}, {"group_size", 128}}},
            {"input_activations", nullptr}}}}},
        {"ignore", Json::array()}}}};
  const std::vector<int64_t> shape = {64, 384};
  model.tensors = {Filled(module + ".weight_packed", DType::kI32, {64, 48}, 0x12345678),
                   testing::FilledBf16(module + ".weight_scale", {64, 3}, 0.5f),
                   testing::MakeTensor(module + ".weight_shape", DType::kI64, {2}, shape)};
  EXPECT_RULES(AuditFor(model, "vllm"));
  EXPECT_THAT(Named(AuditFor(model, "vllm", 2), "V11", Severity::kError, kOnlyVllm),
              Contains(HasSubstr("384 columns over 2, blocks of 128")));
}

TEST_F(EngineFormatsTest, AnExplanationTellsWhy) {
  MakeFp8Moe({.dialect = kOfModelopt, .scales = Fp8Scales::kRow}).Write(Directory());
  const auto modules =
      ExplainModules(Directory(), EnginesFromOption("vllm"), std::string(kExpertsOfLayer0));
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_EQ(modules[0].decisions[0].built, "fails");
  EXPECT_FALSE(modules[0].decisions[0].agrees);
  EXPECT_THAT(modules[0].decisions[0].reason, HasSubstr("one scale a weight"));
}

// --- What vLLM passes over in silence.

TEST_F(EngineFormatsTest, ScalesOfLatentsDoNotReachVllm) {
  ModelFiles model = MakeLlamaNvfp4(kOfModelopt);
  model.tensors.push_back(
      testing::FilledBf16(HfModule(0, "self_attn.kv_a_proj_with_mqa.weight"), {128, 128}, 0.5f));
  EXPECT_THAT(Named(AuditFor(model, "all"), "V07", Severity::kInfo, kOnlyVllm),
              Contains("model.layers.0.self_attn"));
  EXPECT_TRUE(Named(AuditFor(model, "sglang"), "V07", Severity::kInfo, EngineSet::All()).empty());
  EXPECT_TRUE(
      Named(AuditFor(MakeLlamaNvfp4(kOfModelopt), "all"), "V07", Severity::kInfo, EngineSet::All())
          .empty());
}

// No engine decides anything by it.
TEST_F(EngineFormatsTest, AnotherProducerIsNoContradiction) {
  ModelFiles model = MakeLlamaNvfp4(kOfModelopt);
  model.Inline().erase("producer");
  const AuditReport report = AuditFor(model, "all");
  EXPECT_TRUE(report.Clean()) << ReportText(report);
  EXPECT_THAT(Named(report, "V13", Severity::kInfo, EngineSet::All()), Contains("producer"));
}

TEST_F(EngineFormatsTest, VllmHasTheReleasesHeadSizesAlone) {
  const auto sizes = [&](const std::string& engines) {
    return Named(AuditFor(Native(), engines), "C03", Severity::kWarning, EngineSet::All());
  };
  EXPECT_THAT(sizes("vllm"),
              ::testing::ElementsAre("head_dim (64, not 512)", "index_head_dim (64, not 128)"));
  EXPECT_TRUE(sizes("sglang").empty());
}

}  // namespace
}  // namespace vernier::audit
