// Input scales of experts that calibration did not reach.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "export/exporter.h"
#include "export/input_scales.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

class ExportScalesTest : public ExportFixture {
 protected:
  void SetUp() override {
    WriteSource({.layers = 3, .experts = 3});
    const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
    inputs_ = Calibrated(recipes::MakePlan(source, MakeRecipe(HybridRules())));
  }

  void Set(const std::string& module, float amax, int64_t tokens) {
    for (run::InputAmax& input : inputs_) {
      if (input.module == module) input.amax = amax, input.tokens = tokens;
    }
  }
  void Unsee(const std::string& module) { Set(module, 0, 0); }
  // No expert of the layer saw a token.
  void UnseeLayer(int layer) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    for (run::InputAmax& input : inputs_) {
      if (input.module.starts_with(prefix)) input.amax = 0, input.tokens = 0;
    }
  }
  // The largest amax of modules that begin and end like this.
  float Largest(const std::string& prefix, const std::string& suffix) const {
    float largest = 0;
    for (const run::InputAmax& input : inputs_) {
      if (input.module.starts_with(prefix) && input.module.ends_with(suffix)) {
        largest = std::max(largest, input.amax);
      }
    }
    return largest;
  }
  float Written(const std::string& module) {
    return ReadScalar(checkpoint::Checkpoint::Open(Output()), module + ".input_scale");
  }
};

TEST_F(ExportScalesTest, NoFallbackWhenAllWereSeen) { EXPECT_TRUE(Export().fallbacks.empty()); }

TEST_F(ExportScalesTest, UnseenExpertTakesTheLargestOfItsLayer) {
  Unsee("layers.1.ffn.experts.2.w2");
  const ExportSummary summary = Export();
  ASSERT_EQ(summary.fallbacks.size(), 1u);
  EXPECT_EQ(summary.fallbacks[0].group, "layers.1.ffn.experts.2.w2");
  EXPECT_EQ(summary.fallbacks[0].from, AmaxOrigin::kLayer);
  const float largest = Largest("layers.1.", ".w2");
  EXPECT_EQ(summary.fallbacks[0].amax, largest);
  EXPECT_LT(largest, Largest("layers.", ".w2"));  // not the model's, and not another projection's
  EXPECT_EQ(Written("layers.1.ffn.experts.2.w2"), largest / 2688.0f);
}

TEST_F(ExportScalesTest, OneSeenMemberIsEnoughForAPair) {
  Unsee("layers.1.ffn.experts.0.w1");
  Set("layers.1.ffn.experts.0.w3", 2.5f, 3);
  EXPECT_TRUE(Export().fallbacks.empty());
  EXPECT_EQ(Written("layers.1.ffn.experts.0.w1"), 2.5f / 2688.0f);
}

TEST_F(ExportScalesTest, UnseenLayerTakesTheLargestOfTheModel) {
  UnseeLayer(1);
  const ExportSummary summary = Export();
  ASSERT_EQ(summary.fallbacks.size(), 2u * 3u);  // w1+w3 and w2 of each expert
  for (const FallbackScale& fallback : summary.fallbacks) {
    EXPECT_EQ(fallback.from, AmaxOrigin::kModel);
  }
  EXPECT_EQ(Written("layers.1.ffn.experts.0.w2"), Largest("layers.", ".w2") / 2688.0f);
  EXPECT_EQ(Written("layers.1.ffn.experts.0.w3"),
            std::max(Largest("layers.", ".w1"), Largest("layers.", ".w3")) / 2688.0f);
}

TEST_F(ExportScalesTest, TokensThatWereAllZeroCountAsNone) {
  Set("layers.0.ffn.experts.1.w2", 0, 5);
  EXPECT_EQ(Export().fallbacks.size(), 1u);
}

TEST_F(ExportScalesTest, NothingSeenAtAllIsAnError) {
  for (int layer = 0; layer < 3; ++layer) UnseeLayer(layer);
  EXPECT_VERNIER_ERROR(Export(), ErrorCode::kNotCalibrated, "saw no token");
}

TEST_F(ExportScalesTest, AModuleWithoutARecordIsAnError) {
  std::erase_if(inputs_, [](const run::InputAmax& input) {
    return input.module == "layers.2.ffn.experts.1.w2";
  });
  EXPECT_VERNIER_ERROR(Export(), ErrorCode::kNotCalibrated, "layers.2.ffn.experts.1.w2");
}

TEST_F(ExportScalesTest, UnseenAttentionHasNoStandIn) {
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  inputs_ = Calibrated(recipes::MakePlan(source, MakeRecipe(FullRules())));
  Unsee("layers.0.attn.wq_b");
  EXPECT_VERNIER_ERROR(ExportTo(Output(), FullRules()), ErrorCode::kNotCalibrated,
                       "layers.0.attn.wq_b");
}

}  // namespace
}  // namespace vernier::exporter
