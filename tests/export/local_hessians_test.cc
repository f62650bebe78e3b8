#include "export/local_hessians.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "quantizers/nvfp4.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

using statistics::InputBlockHessian;

constexpr int64_t kInputs = 128;
constexpr size_t kInputBlocks = 8, kBlock = InputBlockHessian::kBlock;
const std::string kExpertOf = "layers.0.ffn.experts.";
const std::string kSharedW1 = "layers.0.ffn.shared_experts.w1";

class LocalHessiansTest : public ExportFixture {
 protected:
  void SetUp() override { WriteSource({.layers = 2, .experts = 3, .hidden = kInputs}); }

  static std::vector<recipes::Rule> Rules() {
    std::vector<recipes::Rule> rules = HybridRules(recipes::ScaleMethod::kLocalHessian);
    rules.push_back({.roles = {checkpoint::Role::kSharedExpert},
                     .name_glob = {},
                     .format = checkpoint::formats::kNvfp4,
                     .scale = recipes::ScaleMethod::kLocalHessian});
    return rules;
  }

  // Sums of a module of layer 0 over `tokens`: ones on the diagonal, `pair` between the first two
  // channels of each block.
  void See(const std::string& module, int64_t tokens, float pair, size_t blocks = kInputBlocks) {
    std::vector<float> sums;
    for (size_t b = 0; b < (tokens > 0 ? blocks : 0); ++b) {
      for (size_t i = 0; i < kBlock; ++i) {
        for (size_t j = i; j < kBlock; ++j) sums.push_back(i == j ? 1 : (j == 1 ? pair : 0));
      }
    }
    seen_.statistics.push_back(
        {.unit = 0,
         .module = module,
         .name = std::string(InputBlockHessian::kName),
         .version = InputBlockHessian::kVersion,
         .bytes = statistics::ToBytes(
             {tokens, statistics::PayloadOf<float>(std::span<const float>(sums))})});
  }

  LocalHessians Hessians() {
    source_.emplace(checkpoint::OpenSourceModel(Source()));
    store_.emplace(run::Store::Open(RunDir()));
    store_->CommitLastLayers(std::span(&seen_, 1));
    plan_ = recipes::MakePlan(*source_, MakeRecipe(Rules()));
    return LocalHessians(source_->layout, plan_, *store_);
  }
  const checkpoint::LogicalWeight& Weight(const std::string& module) const {
    return *source_->layout.FindModule(module);
  }

  run::LayerResult seen_;
  std::optional<checkpoint::SourceModel> source_;
  std::optional<run::Store> store_;
  recipes::Plan plan_;
};

TEST_F(LocalHessiansTest, AreWholeMatricesToTheLargestElement) {
  See(kSharedW1, 1000, -0.5F);
  See(kExpertOf + "1.w1", 1000, 4);
  const LocalHessians hessians = Hessians();
  EXPECT_EQ(hessians.size(), 2);
  const std::vector<float> shared = hessians.Of(Weight(kSharedW1));
  ASSERT_EQ(shared.size(), kInputBlocks * kBlock * kBlock);
  for (size_t i = 0; i < shared.size(); ++i) {
    const size_t row = i / kBlock % kBlock, column = i % kBlock;
    const bool is_pair = row + column == 1;
    EXPECT_EQ(shared[i], row == column ? 1.0F : (is_pair ? -0.5F : 0.0F)) << i;
  }
  const std::vector<float> expert = hessians.Of(Weight(kExpertOf + "1.w1"));
  EXPECT_EQ(expert[0], 0.25F);
  EXPECT_EQ(expert[1], 1.0F);
  EXPECT_TRUE(hessians.Of(Weight(kExpertOf + "0.w1")).empty()) << "of which nothing is known";
}

TEST_F(LocalHessiansTest, ExpertsOfFewTokensBorrowFromTheirLayer) {
  See(kExpertOf + "0.w1", kFewTokens, 0.5F);
  See(kExpertOf + "2.w1", 0, 0);
  const LocalHessians hessians = Hessians();
  ASSERT_EQ(hessians.blended().size(), 1U);
  EXPECT_EQ(hessians.blended()[0].module, kExpertOf + "2.w1");
  EXPECT_EQ(hessians.Of(Weight(kExpertOf + "2.w1")), hessians.Of(Weight(kExpertOf + "0.w1")));
}

TEST_F(LocalHessiansTest, RefuseSumsOfOtherChannels) {
  See(kExpertOf + "0.w1", 1000, 0, kInputBlocks / 2);
  EXPECT_VERNIER_ERROR(Hessians(), ErrorCode::kStoreCorrupt, "128 columns");
}

// The bytes are those of the search under these matrices, which are others without them.
TEST_F(LocalHessiansTest, DecideBytes) {
  See(kSharedW1, 1000, 0.9F);
  const std::vector<float> hessian = Hessians().Of(Weight(kSharedW1));
  store_.reset();
  inputs_ = Calibrated(plan_);
  const ExportSummary summary = ExportTo(Output(), Rules());
  EXPECT_EQ(summary.weighted_weights, 1);
  EXPECT_EQ(summary.searched_weights, 2 * (3 + 1) * 3);
  const Json manifest = ReadJsonFile(Output() / "vernier_manifest.json");
  EXPECT_EQ(manifest.at("importance").at("from"), "calibration");

  const std::vector<float> values = ReadValues(*source_, kSharedW1);
  const checkpoint::Checkpoint output = checkpoint::Checkpoint::Open(Output());
  const float global_scale = ReadScalar(output, kSharedW1 + ".weight_scale_2");
  const auto encode = [&](std::span<const float> matrices) {
    std::vector<uint8_t> packed(values.size() / 2), scales(values.size() / kBlock);
    quantizers::QuantizeNvfp4(values, kInputs,
                              {.global_scale = global_scale,
                               .search = quantizers::Nvfp4Search::kLocalHessian,
                               .local_hessian = matrices},
                              packed, scales);
    packed.insert(packed.end(), scales.begin(), scales.end());
    return packed;
  };
  std::vector<uint8_t> written;
  for (const char* part : {".weight", ".weight_scale"}) {
    for (const std::byte byte : ReadTensor(output, kSharedW1 + part)) {
      written.push_back(static_cast<uint8_t>(byte));
    }
  }
  EXPECT_EQ(written, encode(hessian));
  EXPECT_NE(written, encode({}));
}

}  // namespace
}  // namespace vernier::exporter
