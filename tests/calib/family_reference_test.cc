// Every family's forward pass against transformers' activations, in float32.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/calib/model_support.h"

namespace vernier::calib {
namespace {

constexpr double kFamilyTolerance = 2e-5;

// Folders with the hidden states of all layers; DeepSeek-V4's are compared elsewhere, because its
// references leave some choices open.
std::vector<std::string> ReferenceModels() {
  std::vector<std::string> names = TestModelNames();
  std::erase_if(names, [](const std::string& name) { return name.ends_with("deepseek-v4"); });
  return names;
}

class FamilyReference : public ::testing::TestWithParam<std::string> {
 protected:
  static void ExpectAgreement(const at::Tensor& actual, const at::Tensor& expected,
                              const std::string& what) {
    const double whole = RelativeError(actual, expected);
    const double worst = WorstPositionError(actual, expected);
    EXPECT_LE(whole, kFamilyTolerance) << what;
    EXPECT_LE(worst, kFamilyTolerance) << what;
    std::printf("%-24s %-14s error %.2e  worst position %.2e\n", GetParam().c_str(), what.c_str(),
                whole, worst);
  }
};

TEST_P(FamilyReference, AgreesBehindEveryLayer) {
  const std::filesystem::path directory = kTestModels / GetParam();
  const std::map<std::string, at::Tensor> reference =
      ReadTensors(directory / "reference.safetensors");
  const LoadedModel model(directory, at::kFloat);
  // Chunks that do not divide the length.
  const ModelOutput output = RunModel(*model.decoder, {reference.at("input_ids"), {}},
                                      /*query_chunk=*/20);
  ASSERT_GT(model.decoder->Layers(), 1);
  for (int64_t layer = 0; layer < model.decoder->Layers(); ++layer) {
    const std::string name = "f32.hidden." + std::to_string(layer);
    ExpectAgreement(output.hidden.at(static_cast<size_t>(layer)), reference.at(name), name);
  }
  ExpectAgreement(output.logits, reference.at("f32.logits"), "f32.logits");
}

INSTANTIATE_TEST_SUITE_P(Models, FamilyReference, ::testing::ValuesIn(ReferenceModels()),
                         [](const auto& info) { return NameInTest(info.param); });

}  // namespace
}  // namespace vernier::calib
