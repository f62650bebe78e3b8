// Which layers are committed when, with the hidden states behind the last of them.
#include "calib/layer_committer.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>

#include "checkpoint/source_model.h"
#include "run/solved_weight.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

using When = LayerCommitter::When;

constexpr int64_t kCommittedSamples = 6;

class LayerCommitterTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }

  // A dense layer that is done; its hidden states are all `value`.
  LayerState Done(double value) const {
    auto hidden = std::make_shared<SampleBuffer>(SampleBuffer::Over(
        at::full({kCommittedSamples, 4}, value, at::TensorOptions().device(GetParam()))));
    LayerState state({.samples = kCommittedSamples, .hidden = {4}}, hidden,
                     [](LayerPart, bool, std::vector<int64_t>, at::ScalarType) -> SampleBuffer {
                       throw std::logic_error("a dense layer works in place");
                     });
    state.part(LayerPart::kOut);
    return state;
  }

  void End(int layer, double seconds, When when = When::kDue) {
    const LayerState state = Done(layer + 0.5);
    committer_->LayerDone({.layer = layer, .seconds = seconds, .statistics = {}, .activations = {}},
                          state, {0, kCommittedSamples}, when);
  }

  // The hidden states that a resume would go on from.
  at::Tensor Stored() const {
    const run::ActivationCheckpoint saved = store_.LatestActivations().value();
    const SampleBuffer file =
        SampleBuffer::OpenFile(dir_.path() / saved.file_name, kCommittedSamples, {4}, at::kFloat);
    EXPECT_EQ(file.Hash(0, kCommittedSamples), saved.hash);
    EXPECT_EQ(saved.bytes, file.Bytes());
    return file.Get(0, kCommittedSamples);
  }
  int64_t FilesWithHiddenStates() const {
    int64_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      files += entry.path().filename().string().starts_with("hidden-") ? 1 : 0;
    }
    return files;
  }

  testing::TempDir dir_;
  run::Store store_ = run::Store::Open(dir_.path());
  const checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(kTinyModel);
  run::SourceLedger ledger_{store_, source_.checkpoint};
  std::optional<LayerCommitter> committer_{std::in_place, store_, ledger_, /*interval=*/60};
};

TEST_P(LayerCommitterTest, ShortLayersWaitForEachOther) {
  for (int layer = 0; layer < 4; ++layer) {
    End(layer, 10);
    EXPECT_TRUE(committer_->HasWaiting());
    EXPECT_FALSE(store_.LastLayer().has_value());
  }
  End(4, 10);  // 50 seconds, and the next may take 15
  committer_->Wait();
  EXPECT_FALSE(committer_->HasWaiting());
  EXPECT_EQ(store_.LastLayer(), 4);
  EXPECT_TRUE(at::equal(Stored(), at::full({kCommittedSamples, 4}, 4.5)));
  End(5, 10);
  EXPECT_EQ(store_.LastLayer(), 4);
  EXPECT_EQ(FilesWithHiddenStates(), 1);
}

TEST_P(LayerCommitterTest, ALayerThatIsToBeCommittedNowTakesTheOthersAlong) {
  End(0, 1);
  End(1, 1, When::kNow);
  committer_->Wait();
  EXPECT_EQ(store_.LastLayer(), 1);
  EXPECT_TRUE(at::equal(Stored(), at::full({kCommittedSamples, 4}, 1.5)));
}

TEST_P(LayerCommitterTest, WithoutAnIntervalEveryLayerIsCommitted) {
  committer_.emplace(store_, ledger_, /*interval=*/0);
  for (int layer = 0; layer < 3; ++layer) {
    End(layer, 0.001);
    committer_->Wait();
    EXPECT_EQ(store_.LastLayer(), layer);
    EXPECT_TRUE(at::equal(Stored(), at::full({kCommittedSamples, 4}, layer + 0.5)));
    EXPECT_EQ(FilesWithHiddenStates(), 1);
  }
}

TEST_P(LayerCommitterTest, BehindTheLastLayerNothingIsKept) {
  End(0, 1);
  End(1, 1, When::kLast);
  EXPECT_TRUE(store_.CalibrationFinished());
  EXPECT_EQ(store_.LastLayer(), 1);
  EXPECT_EQ(FilesWithHiddenStates(), 0);
}

// Of the layer that runs meanwhile.
TEST_P(LayerCommitterTest, FilesOfSolvedWeightsStayUntilTheirLayerIsCommitted) {
  run::SolvedWeight of_next{.module = "a", .method = "gptq", .bytes = {std::byte{7}, std::byte{8}}};
  run::WriteSolvedWeights(dir_.path(), 1, {&of_next, 1});
  End(0, 1, When::kNow);
  committer_->Wait();
  EXPECT_EQ(run::ReadSolvedWeight(dir_.path(), of_next).size(), 2U);
  End(1, 1, When::kNow);
  committer_->Wait();
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / of_next.place.file)) << "no row names it";
}

TEST_P(LayerCommitterTest, WhatGoesWrongIsThrownAndTheStoreStaysAsItWas) {
  End(0, 1, When::kNow);
  committer_->Wait();
  // A folder stands where the file must go.
  std::filesystem::create_directory(dir_.path() / "hidden-0001.bin.partial");
  const auto end = [&] {
    End(1, 1, When::kNow);
    committer_->Wait();
  };
  EXPECT_VERNIER_ERROR(end(), ErrorCode::kFileOpen, "hidden-0001.bin.partial");
  EXPECT_EQ(store_.LastLayer(), 0);
  EXPECT_TRUE(at::equal(Stored(), at::full({kCommittedSamples, 4}, 0.5)));
}

INSTANTIATE_TEST_SUITE_P(Devices, LayerCommitterTest, ::testing::ValuesIn(kTestDevices),
                         [](const auto& info) { return DeviceName(info.param); });

}  // namespace
}  // namespace vernier::calib
