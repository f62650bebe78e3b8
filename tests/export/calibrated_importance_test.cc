#include "export/calibrated_importance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

// 8 bytes a channel: w1's sums lie in files, w2's in the database.
constexpr int64_t kHidden = 544, kWidth = 64;

class CalibratedImportanceTest : public ExportFixture {
 protected:
  void SetUp() override {
    WriteSource({.layers = 2, .experts = 4, .hidden = kHidden, .moe_width = kWidth});
    source_.emplace(checkpoint::OpenSourceModel(Source()));
    Plan(recipes::ScaleMethod::kMse);
    store_.emplace(run::Store::Open(RunDir()));
  }

  void Plan(recipes::ScaleMethod method) {
    recipe_ = MakeRecipe(HybridRules(method));
    plan_ = recipes::MakePlan(*source_, recipe_);
  }

  // Sums of squares of a module of layer 0: `first` for its first channel, 1 for the others.
  void See(const std::string& module, int64_t tokens, double first, int64_t columns = kHidden) {
    std::vector<double> sums;
    if (tokens > 0) sums.assign(static_cast<size_t>(columns), 1);
    if (tokens > 0) sums[0] = first;
    rows_[module] =
        statistics::ToBytes({tokens, statistics::PayloadOf<double>(std::span<const double>(sums))});
  }

  CalibratedImportance Importance() {
    run::LayerResult layer;
    for (const auto& [module, bytes] : rows_) {
      layer.statistics.push_back({.unit = 0,
                                  .module = module,
                                  .name = std::string(statistics::InputSquareSum::kName),
                                  .version = version_,
                                  .bytes = bytes});
    }
    store_->CommitLastLayers(std::span(&layer, 1));
    return CalibratedImportance(source_->layout, plan_, *store_);
  }

  const checkpoint::LogicalWeight& Weight(const std::string& module) const {
    return source_->layout.weights[source_->layout.by_module.at(module)];
  }

  std::optional<checkpoint::SourceModel> source_;
  recipes::Recipe recipe_;
  recipes::Plan plan_;
  std::optional<run::Store> store_;
  std::map<std::string, statistics::Bytes> rows_;
  int version_ = statistics::InputSquareSum::kVersion;
};

const std::string kExperts = "layers.0.ffn.experts.";

TEST_F(CalibratedImportanceTest, IsTheMeanSquareOfEachChannel) {
  See(kExperts + "0.w1", 1000, 4);
  See(kExperts + "0.w2", 1000, 0.5, kWidth);
  const CalibratedImportance importance = Importance();
  const std::vector<float> w1 = importance.Of(Weight(kExperts + "0.w1"));
  ASSERT_EQ(w1.size(), static_cast<size_t>(kHidden));
  EXPECT_EQ(w1[0], 1.0f);
  EXPECT_EQ(w1[1], 0.25f) << "to the largest";
  EXPECT_EQ(importance.Of(Weight(kExperts + "0.w2"))[0], 0.5f);
  EXPECT_TRUE(importance.Of(Weight(kExperts + "1.w1")).empty()) << "of which nothing is known";
  EXPECT_TRUE(importance.Blended().empty());
  EXPECT_EQ(importance.CountUses(source_->layout, plan_), 2);
  EXPECT_EQ(importance.origin(), "calibration");
}

// Expert 0 has all its tokens, 1 has half of few, 2 has none.
TEST_F(CalibratedImportanceTest, ExpertsOfFewTokensBorrowFromTheirLayer) {
  constexpr int64_t kHalf = kFewTokens / 2;
  See(kExperts + "0.w1", 10 * kFewTokens, 1);
  See(kExperts + "1.w1", kHalf, 2.0 * kHalf);
  See(kExperts + "2.w1", 0, 0);
  See(kExperts + "0.w3", 10 * kFewTokens, 7);
  const CalibratedImportance importance = Importance();
  ASSERT_EQ(importance.Blended().size(), 2u);
  EXPECT_EQ(importance.Blended()[0].module, kExperts + "1.w1");
  EXPECT_EQ(importance.Blended()[0].tokens, kHalf);

  // Over all tokens of w1.
  const double tokens = 10.5 * kFewTokens, first = (1 + 2.0 * kHalf) / tokens, other = 2 / tokens;
  const std::vector<float> none = importance.Of(Weight(kExperts + "2.w1"));
  EXPECT_EQ(none[0], 1.0f);
  EXPECT_NEAR(none[1], other / first, 1e-6);
  const std::vector<float> some = importance.Of(Weight(kExperts + "1.w1"));
  EXPECT_EQ(some[0], 1.0f);
  EXPECT_NEAR(some[1], (1 + kHalf * other) / (2.0 * kHalf + kHalf * first), 1e-6);
  // Those of many tokens are their own.
  EXPECT_EQ(importance.Of(Weight(kExperts + "0.w1"))[1], 1.0f);
}

TEST_F(CalibratedImportanceTest, IsOnlyOfWhatIsSearched) {
  Plan(recipes::ScaleMethod::kMax);
  See(kExperts + "0.w1", 1000, 4);
  const CalibratedImportance importance = Importance();
  EXPECT_TRUE(importance.Of(Weight(kExperts + "0.w1")).empty());
  EXPECT_TRUE(importance.hash().empty());
  EXPECT_EQ(importance.origin(), "none");
  EXPECT_EQ(MakeImportance(recipe_, source_->layout, plan_, *store_)->origin(), "none");
}

TEST_F(CalibratedImportanceTest, RefusesSumsOfOtherChannels) {
  See(kExperts + "0.w1", 1000, 4, kWidth);
  See(kExperts + "1.w1", 10, 4);
  EXPECT_VERNIER_ERROR(Importance(), ErrorCode::kStoreCorrupt, "544 columns");
}

TEST_F(CalibratedImportanceTest, RefusesSumsOfANewerProgram) {
  See(kExperts + "0.w1", 1000, 4);
  version_ = statistics::InputSquareSum::kVersion + 1;
  EXPECT_VERNIER_ERROR(Importance(), ErrorCode::kStoreCorrupt, "input_square_sum in version 2");
}

// What was observed decides the bytes, and the plan's hash with them.
class ImportanceExportTest : public ExportFixture {
 protected:
  static constexpr const char* kShared = "layers.0.ffn.shared_experts.w1";

  static std::vector<recipes::Rule> Rules() {
    std::vector<recipes::Rule> rules = HybridRules(recipes::ScaleMethod::kMse);
    rules.push_back({.roles = {checkpoint::Role::kSharedExpert},
                     .name_glob = {},
                     .format = checkpoint::formats::kNvfp4,
                     .scale = recipes::ScaleMethod::kMse});
    return rules;
  }

  // Exports with a shared expert whose input channel `loud` counts most, and an expert that saw
  // `tokens`.
  ExportSummary ExportWith(size_t loud, int64_t tokens) {
    const std::string expert = kExperts + "0.w1";
    std::vector<double> sums(128, 1e-6);
    sums[loud] = 1;
    run::LayerResult layer;
    for (const std::string& module : {expert, std::string(kShared)}) {
      layer.statistics.push_back(
          {.unit = 0,
           .module = module,
           .name = std::string(statistics::InputSquareSum::kName),
           .version = statistics::InputSquareSum::kVersion,
           .bytes = statistics::ToBytes(
               {tokens, statistics::PayloadOf<double>(std::span<const double>(sums))})});
    }
    const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
    inputs_ = Calibrated(recipes::MakePlan(source, MakeRecipe(Rules())));
    for (run::InputAmax& input : inputs_) input.tokens = tokens;
    for (const auto& place : {RunDir(), Output()}) std::filesystem::remove_all(place);
    run::Store::Open(RunDir()).CommitLastLayers(std::span(&layer, 1));
    return ExportTo(Output(), Rules());
  }
  std::vector<std::byte> SharedScales() const {
    return ReadTensor(checkpoint::Checkpoint::Open(Output()),
                      std::string(kShared) + ".weight_scale");
  }
};

TEST_F(ImportanceExportTest, DecidesBytesAndIsSaid) {
  WriteSource({.layers = 2, .experts = 3, .hidden = 128});
  const ExportSummary first = ExportWith(0, 1000);
  EXPECT_EQ(first.weighted_weights, 2);
  EXPECT_EQ(first.searched_weights, 2 * (3 + 1) * 3);
  EXPECT_TRUE(first.blended.empty());
  const std::vector<std::byte> scales = SharedScales();
  const ExportSummary other = ExportWith(5, 10);
  EXPECT_NE(other.plan_hash, first.plan_hash);
  EXPECT_NE(SharedScales(), scales);
  ASSERT_EQ(other.blended.size(), 1u);
  EXPECT_EQ(other.blended[0].module, kExperts + "0.w1");
  const Json manifest = ReadJsonFile(Output() / "vernier_manifest.json");
  EXPECT_EQ(manifest.at("importance").at("from"), "calibration");
  EXPECT_EQ(manifest.at("importance").at("blended"),
            Json::array({{{"module", kExperts + "0.w1"}, {"tokens", 10}}}));
}

}  // namespace
}  // namespace vernier::exporter
