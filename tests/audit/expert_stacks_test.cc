// Experts that one side of a comparison stacks in one tensor, and what else is compared by value.
#include <string>
#include <utility>
#include <vector>

#include "tests/audit/audit_test_base.h"
#include "tests/audit/hf_nvfp4_model.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::MakeTensor;
using testing::TestTensor;

constexpr int64_t kStackHidden = 128;  // of the models in hf_nvfp4_model.h
constexpr int64_t kWidth = 64;
constexpr int64_t kStackExperts = 4;
constexpr int kStackLayers = 2;

TestTensor Plain(const std::string& name, std::vector<int64_t> shape) {
  return testing::Filled(name, DType::kBF16, std::move(shape), uint16_t{0x3C00});
}

std::string Expert(int layer, int64_t expert, const std::string& name) {
  return HfModule(layer, "mlp.experts." + std::to_string(expert) + "." + name);
}

// What MakeQwenMoeNvfp4 has besides its experts, and no quantisation.
ModelFiles Frame() {
  ModelFiles model = MakeQwenMoeNvfp4();
  std::erase_if(model.tensors, [](const TestTensor& tensor) {
    return tensor.spec.name.find(".experts.") != std::string::npos;
  });
  model.config.erase("quantization_config");
  model.quant_config = nullptr;
  return model;
}

ModelFiles Separate(bool biases = false) {
  ModelFiles model = Frame();
  for (int layer = 0; layer < kStackLayers; ++layer) {
    for (int64_t expert = 0; expert < kStackExperts; ++expert) {
      for (const char* name : {"gate_proj", "up_proj"}) {
        model.tensors.push_back(
            Plain(Expert(layer, expert, std::string(name) + ".weight"), {kWidth, kStackHidden}));
        if (!biases) continue;
        model.tensors.push_back(
            Plain(Expert(layer, expert, std::string(name) + ".bias"), {kWidth}));
      }
      model.tensors.push_back(
          Plain(Expert(layer, expert, "down_proj.weight"), {kStackHidden, kWidth}));
    }
  }
  return model;
}

ModelFiles Stacked(bool biases = false) {
  ModelFiles model = Frame();
  for (int layer = 0; layer < kStackLayers; ++layer) {
    const std::string container = HfModule(layer, "mlp.experts.");
    model.tensors.push_back(
        Plain(container + "gate_up_proj", {kStackExperts, 2 * kWidth, kStackHidden}));
    model.tensors.push_back(Plain(container + "down_proj", {kStackExperts, kStackHidden, kWidth}));
    if (!biases) continue;
    model.tensors.push_back(Plain(container + "gate_up_proj_bias", {kStackExperts, 2 * kWidth}));
  }
  return model;
}

class ExpertStacksTest : public AuditTest {
 protected:
  // Of errors alone.
  std::vector<std::string> Errors(const AuditReport& report, const std::string& rule) const {
    std::vector<std::string> named;
    for (const Finding& finding : report.findings) {
      if (finding.rule != rule || finding.severity != Severity::kError) continue;
      named.insert(named.end(), finding.tensors.begin(), finding.tensors.end());
    }
    return named;
  }
};

TEST_F(ExpertStacksTest, AreAccountedForBothWays) {
  for (const bool biases : {false, true}) {
    SCOPED_TRACE(biases);
    for (const bool to_stacks : {false, true}) {
      SCOPED_TRACE(to_stacks);
      const ModelFiles source = to_stacks ? Separate(biases) : Stacked(biases);
      const ModelFiles model = to_stacks ? Stacked(biases) : Separate(biases);
      const AuditReport report = AuditAgainst(source, model);
      EXPECT_RULES(report, "C02");
      EXPECT_TRUE(report.Clean());
      EXPECT_EQ(report.Count(Severity::kInfo), 1);
      EXPECT_EQ(report.findings[0].tensor_count, kStackLayers * (biases ? 3 : 2));
      EXPECT_EQ(report.carried_tensors, static_cast<int64_t>(Frame().tensors.size()));
    }
  }
}

TEST_F(ExpertStacksTest, QuantisedSlicesHaveTheSizeOfTheirStack) {
  const AuditReport report = AuditAgainst(Stacked(), MakeQwenMoeNvfp4());
  EXPECT_RULES(report, "C02");
  EXPECT_TRUE(report.Clean());
}

TEST_F(ExpertStacksTest, AStackOfAnotherSizeIsAnother) {
  ModelFiles stacked = Stacked();
  stacked.At(HfModule(1, "mlp.experts.down_proj")) =
      Plain(HfModule(1, "mlp.experts.down_proj"), {kStackExperts, kStackHidden, kWidth / 2});
  const AuditReport unstacked = AuditAgainst(stacked, Separate());
  EXPECT_THAT(Errors(unstacked, "C01"), AllOf(Contains(HfModule(1, "mlp.experts.down_proj")),
                                              Contains(Expert(1, 0, "down_proj.weight"))));
  EXPECT_THAT(Errors(unstacked, "C01"),
              ::testing::Not(Contains(HasSubstr(HfModule(0, "mlp.experts")))));
  const AuditReport restacked = AuditAgainst(Separate(), stacked);
  EXPECT_THAT(Errors(restacked, "C01"), AllOf(Contains(HfModule(1, "mlp.experts.down_proj")),
                                              Contains(Expert(1, 0, "down_proj.weight"))));
}

TEST_F(ExpertStacksTest, OneSliceOfAnotherSizeSpoilsItsStack) {
  ModelFiles model = MakeQwenMoeNvfp4();
  for (const char* part : {".weight", ".weight_scale"}) {
    TestTensor& tensor = model.At(Expert(0, 2, std::string("up_proj") + part));
    tensor.spec.shape[0] /= 2;
    tensor.bytes.resize(tensor.bytes.size() / 2);
  }
  EXPECT_THAT(Errors(AuditAgainst(Stacked(), model), "C01"),
              Contains(HfModule(0, "mlp.experts.gate_up_proj")));
}

TEST_F(ExpertStacksTest, AMissingSliceIsNotMadeUpFor) {
  ModelFiles model = Separate();
  model.Remove(Expert(0, 3, "down_proj.weight"));
  EXPECT_THAT(Errors(AuditAgainst(Stacked(), model), "C01"),
              Contains(HfModule(0, "mlp.experts.down_proj")));
}

TEST_F(ExpertStacksTest, AMissingExpertIsNotMadeUpFor) {
  ModelFiles stacked = Stacked();
  stacked.At(HfModule(0, "mlp.experts.down_proj")) =
      Plain(HfModule(0, "mlp.experts.down_proj"), {kStackExperts + 1, kStackHidden, kWidth});
  EXPECT_THAT(Errors(AuditAgainst(stacked, Separate()), "C01"),
              Contains(HfModule(0, "mlp.experts.down_proj")));
}

// --- Values of a model of no particular family.

using ValuesTest = AuditTest;

// The BF16 nearest to what every NVFP4 weight of MakeLlamaNvfp4 holds: 0.005 and 0.01 in turn.
ModelFiles LlamaSource() {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.config.erase("quantization_config");
  model.quant_config = nullptr;
  std::vector<std::pair<std::string, std::vector<int64_t>>> weights;
  for (const TestTensor& tensor : model.tensors) {
    if (tensor.spec.dtype == DType::kU8) weights.emplace_back(tensor.spec.name, tensor.spec.shape);
  }
  std::erase_if(model.tensors, [](const TestTensor& tensor) {
    return tensor.spec.name.find("_proj.") != std::string::npos;
  });
  for (const auto& [name, packed] : weights) {
    constexpr uint16_t kHundredth = 0x3C24, kHalfOfIt = 0x3BA4;
    std::vector<uint16_t> values(static_cast<size_t>(2 * packed[0] * packed[1]));
    for (size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? kHalfOfIt : kHundredth;
    model.tensors.push_back(MakeTensor(name, DType::kBF16, {packed[0], 2 * packed[1]}, values));
  }
  return model;
}

constexpr int kLlamaWeights = 2 * 7;

TEST_F(ValuesTest, ConvertedWeightsOfAnyModelAreMeasured) {
  const AuditReport report = AuditAgainst(LlamaSource(), MakeLlamaNvfp4(QuantDialect::kModelopt));
  EXPECT_RULES(report);
  EXPECT_EQ(report.overall_error.weights, kLlamaWeights);
  EXPECT_LT(report.overall_error.RelativeError(), 0x1p-8);
}

TEST_F(ValuesTest, AnErrorInOneModuleLeavesOthersMeasured) {
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  model.Remove(HfModule(0, "self_attn.o_proj.weight_scale"));
  SetFloat(&model.At(HfModule(1, "mlp.down_proj.weight_scale_2")), 1.0f);
  const AuditReport report = AuditAgainst(LlamaSource(), model);
  EXPECT_TRUE(RulesOf(report).contains("V02"));
  EXPECT_EQ(report.overall_error.weights, kLlamaWeights - 1);
  std::vector<std::string> wrong;
  for (const Finding& finding : report.findings) {
    if (finding.rule == "V12") wrong = finding.tensors;
  }
  EXPECT_THAT(wrong, ::testing::ElementsAre(HasSubstr(HfModule(1, "mlp.down_proj"))));
}

TEST_F(ValuesTest, AWeightThatDiffersInItsDtypeAloneIsComparedByValue) {
  // 0.5 in BF16 and in F16.
  ModelFiles model = MakeLlamaNvfp4(QuantDialect::kModelopt);
  TestTensor& head = model.At("lm_head.weight");
  const std::vector<int64_t> shape = head.spec.shape;
  const auto count = static_cast<size_t>(shape[0] * shape[1]);
  head = MakeTensor("lm_head.weight", DType::kF16, shape, std::vector<uint16_t>(count, 0x3800));
  AuditReport report = AuditAgainst(LlamaSource(), model);
  EXPECT_RULES(report, "C02");
  EXPECT_TRUE(report.Clean());
  head = MakeTensor("lm_head.weight", DType::kF16, shape, std::vector<uint16_t>(count, 0x3A00));
  report = AuditAgainst(LlamaSource(), model);
  EXPECT_RULES(report, "C02", "V12");
  EXPECT_FALSE(report.Clean());
}

}  // namespace
}  // namespace vernier::audit
