// Sequences that grow, against forward passes of them as a whole, for every family.
#include "calib/resident_model.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "tests/calib/loop_support.h"
#include "tests/calib/model_support.h"

namespace vernier::calib {
namespace {

constexpr double kGrownTolerance = 1e-5;
// Chunks of a prompt's queries that do not divide its length.
constexpr int64_t kPromptChunk = 20;

void NobodyWaits(int64_t) {}

class ResidentModelTest : public ::testing::TestWithParam<std::tuple<at::DeviceType, std::string>> {
 protected:
  void SetUp() override {
    if (!HasDevice(device_.type())) GTEST_SKIP() << "no such device in this build or machine";
  }

  // `tokens` random ids on the host.
  at::Tensor Ids(int64_t tokens) const {
    const datasets::CalibrationSet set = RandomTokens(1, tokens, model_.decoder->VocabSize());
    return at::tensor(std::vector<int64_t>(set.ids.begin(), set.ids.end()), at::kLong);
  }

  // Logits [S, V] of ids [S], all at once.
  at::Tensor Whole(const at::Tensor& ids, Tap& tap) const {
    const TokenBatch batch{ids.unsqueeze(0).to(device_), {}};
    return RunModel(*model_.decoder, batch, /*query_chunk=*/512, tap).logits.squeeze(0);
  }

  // Longer than every window and compression ratio of the models, in pieces that cut them anywhere.
  void ExpectPiecesAreTheWhole(Tap& tap) const {
    const auto model = ResidentModel::Load(*model_.decoder, kPromptChunk, device_, NobodyWaits);
    if (model == nullptr) GTEST_SKIP() << "takes whole sequences only";
    const at::Tensor ids = Ids(150), whole = Whole(ids, tap);
    GrowingSequence sequence = model->Begin(150);
    for (const int64_t piece : {1, 5, 57, 1, 1, 1, 1, 61, 2, 1, 1, 1, 17}) {
      const NewTokens next = {sequence, ids.narrow(0, sequence.length, piece)};
      const auto logits = model->Run({&next, 1}, tap);
      ASSERT_TRUE(logits.has_value());
      EXPECT_LT(RelativeError((*logits)[0], whole[sequence.length - 1]), kGrownTolerance)
          << "behind token " << sequence.length;
    }
    EXPECT_EQ(sequence.length, 150);
  }

  const at::Device device_{std::get<0>(GetParam())};
  const LoadedModel model_{kTestModels / std::get<1>(GetParam()), at::kFloat, device_};
  Tap nobody_;
};

TEST_P(ResidentModelTest, ASequenceThatComesInPiecesIsTheWholeOne) {
  ExpectPiecesAreTheWhole(nobody_);
}

// What a tap makes of inputs and of cached keys and values is what later tokens meet.
class Scaling final : public Tap {
 public:
  at::Tensor Replace(std::string_view, const at::Tensor& x) override { return x * 0.75; }
  at::Tensor ReplaceCache(std::string_view, const at::Tensor& x) override { return x * 0.5; }
};

TEST_P(ResidentModelTest, ATapReplacesInPiecesWhatItReplacesInTheWhole) {
  Scaling scaling;
  ExpectPiecesAreTheWhole(scaling);
}

TEST_P(ResidentModelTest, SequencesOfOtherLengthsRunBesideIt) {
  const auto model = ResidentModel::Load(*model_.decoder, kPromptChunk, device_, NobodyWaits);
  if (model == nullptr) GTEST_SKIP() << "takes whole sequences only";
  const std::array ids = {Ids(40), Ids(9).flip(0), Ids(23).flip(0)};
  std::vector<GrowingSequence> sequences;
  for (const at::Tensor& tokens : ids) sequences.push_back(model->Begin(tokens.size(0)));
  // All begin at once with pieces of different lengths; the last grows alone at the end.
  for (const std::vector<int64_t>& pieces :
       {std::vector<int64_t>{34, 7, 1}, {1, 1, 1}, {5, 1, 1}, {0, 0, 20}}) {
    std::vector<NewTokens> next;
    std::vector<at::Tensor> expected;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (pieces[i] == 0) continue;
      next.push_back({sequences[i], ids[i].narrow(0, sequences[i].length, pieces[i])});
      expected.push_back(Whole(ids[i], nobody_)[sequences[i].length + pieces[i] - 1]);
    }
    const auto logits = model->Run(next, nobody_);
    ASSERT_TRUE(logits.has_value());
    EXPECT_LT(WorstPositionError(logits->unsqueeze(0), at::stack(expected).unsqueeze(0)),
              kGrownTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ResidentModelTest,
                         ::testing::Combine(::testing::ValuesIn(kTestDevices),
                                            ::testing::ValuesIn(TestModelNames())),
                         [](const auto& info) {
                           return DeviceName(std::get<0>(info.param)) + "_" +
                                  NameInTest(std::get<1>(info.param));
                         });

// Spoils one input.
class NanIn final : public Tap {
 public:
  explicit NanIn(std::string module) : module_(std::move(module)) {}
  at::Tensor Replace(std::string_view module, const at::Tensor& x) override {
    return module == module_ ? at::full_like(x, NAN) : x;
  }

 private:
  std::string module_;
};

TEST(ResidentModel, GivesNoLogitsOfNan) {
  const LoadedModel model(kTestModels / "tiny-llama", at::kFloat);
  const auto resident = ResidentModel::Load(*model.decoder, kPromptChunk, at::kCPU, NobodyWaits);
  GrowingSequence sequence = resident->Begin(3);
  const NewTokens next = {sequence, at::arange(3)};
  NanIn tap("model.layers.1.mlp.down_proj");
  EXPECT_FALSE(resident->Run({&next, 1}, tap).has_value());
}

TEST(ResidentModel, LoadsEveryLayerOnce) {
  const LoadedModel model(kTestModels / "tiny-qwen3-moe", at::kBFloat16);
  std::vector<int64_t> loaded;
  ResidentModel::Load(*model.decoder, kPromptChunk, at::kCPU,
                      [&](int64_t layer) { loaded.push_back(layer); });
  ASSERT_EQ(static_cast<int64_t>(loaded.size()), model.decoder->Layers());
  for (size_t i = 0; i < loaded.size(); ++i) EXPECT_EQ(loaded[i], static_cast<int64_t>(i));
}

}  // namespace
}  // namespace vernier::calib
