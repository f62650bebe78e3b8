// A layer that is left between any two units of work, and gone on with by another process.
#include "calib/layer_saver.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "base/file.h"
#include "calib/recorder.h"
#include "checkpoint/source_model.h"
#include "tests/calib/loop_support.h"
#include "tests/support/made_up_statistic.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

constexpr int64_t kLayer = 1;

// The process ends here.
struct Killed {};

class LayerSaverTest : public ::testing::TestWithParam<bool> {
 protected:
  // Runs the layer in `run_dir`, from the saved place if there is one, saving every `save_every`
  // units; throws Killed after `units` of them.
  LoopResult Run(const std::filesystem::path& run_dir, LayerLoopOptions options,
                 int units = 1 << 20, int save_every = 1) {
    run::Store store = run::Store::Open(run_dir);
    if (in_files_) options.spill_directory = run_dir;
    const LayerLoop loop(*decoder_, tokens_, at::kCPU, at::kFloat, options);
    auto hidden = std::make_shared<SampleBuffer>(loop.MakeHiddenBuffer("hidden.scratch"));
    loop.Embed(*hidden);

    Recorder recorder(modules_);
    const auto keeps = [&](std::string_view module, const statistics::Statistic& statistic) {
      return !statistic.is_sum || !without_sums_.contains(module);
    };
    recorder.KeepOnly(keeps);
    NonFiniteGuard guard(recorder);
    LayerSaver saver(store, known_, keeps);
    std::optional<LayerSaver::Resumed> resumed = saver.Resume(kLayer, loop, hidden);
    resumed_ = resumed.has_value();
    if (!resumed) resumed.emplace(LayerSaver::Resumed{loop.MakeState(kLayer, hidden)});
    recorder.Restore(resumed->so_far.statistics, at::kCPU);
    resumed_at_ = resumed->state.Fraction();
    int done = 0;
    loop.RunLayer(kLayer, resumed->state, guard, [&](LayerState& state) {
      ++done;
      if (done % save_every == 0 && state.Fraction() < 1) {
        saver.Save(state, {.seconds = double(done), .statistics = recorder.Rows(kLayer)});
      }
      if (done >= units) throw Killed();
    });
    return {resumed->state.part(LayerPart::kOut).Get(0, tokens_.samples).clone(),
            InputsOf(recorder, kLayer), recorder.Rows(kLayer)};
  }

  testing::TempDir dir_;
  bool in_files_ = GetParam();
  statistics::Registry known_ = statistics::AllStatistics();
  std::set<std::string, std::less<>> without_sums_;
  bool resumed_ = false;
  double resumed_at_ = 0;
  const checkpoint::SourceModel source_ =
      checkpoint::OpenSourceModel(VERNIER_TEST_DATA "/models/tiny-deepseek-v4");
  const TensorLoader loader_{source_, at::kCPU, at::kFloat};
  const std::unique_ptr<Decoder> decoder_ = MakeDecoder(loader_);
  const datasets::CalibrationSet tokens_ = [this] {
    datasets::CalibrationSet tokens = RandomTokens(5, 40, decoder_->VocabSize());
    tokens.lengths[2] = 11;
    return tokens;
  }();
  const std::vector<std::string> modules_ = [this] {
    std::vector<std::string> modules;
    for (const auto& weight : source_.layout.weights) {
      if (weight.layer == kLayer && weight.linear) modules.push_back(weight.module);
    }
    return modules;
  }();
};

// 3 batches, 4 groups, 3 batches.
const LayerLoopOptions kOptions = {.batch_size = 2, .experts_per_group = 2};

TEST_P(LayerSaverTest, LeftAfterAnyUnitItEndsAsIfNothingHappened) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  for (const int save_every : {1, 2, 3}) {
    for (int units = 1; units < 10; ++units) {
      const auto run_dir = dir_.path() / std::to_string(100 * save_every + units);
      EXPECT_THROW(Run(run_dir, kOptions, units, save_every), Killed);
      ExpectSame(Run(run_dir, kOptions), calm);
      EXPECT_EQ(resumed_, units >= save_every) << units;
    }
  }
}

TEST_P(LayerSaverTest, KilledAgainAndAgainItAdvances) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  double last = 0;
  for (int kill = 0; kill < 9; ++kill) {
    EXPECT_THROW(Run(dir_.path() / "killed", kOptions, /*units=*/1), Killed);
    EXPECT_GE(resumed_at_, last);
    last = resumed_at_;
  }
  EXPECT_GT(last, 0.9);
  ExpectSame(Run(dir_.path() / "killed", kOptions), calm);
}

TEST_P(LayerSaverTest, OtherGroupsMayFinishIt) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  for (const int units : {1, 2, 4, 6, 8}) {
    const auto run_dir = dir_.path() / std::to_string(units);
    EXPECT_THROW(Run(run_dir, kOptions, units), Killed);
    ExpectSame(Run(run_dir, {.batch_size = 2, .experts_per_group = 3}), calm);
    EXPECT_TRUE(resumed_);
  }
}

TEST_P(LayerSaverTest, ItMovesBetweenMemoryAndFiles) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  for (const int units : {2, 4, 5, 8}) {
    const auto run_dir = dir_.path() / std::to_string(units);
    EXPECT_THROW(Run(run_dir, kOptions, units), Killed);
    in_files_ = !in_files_;
    ExpectSame(Run(run_dir, kOptions), calm);
    EXPECT_TRUE(resumed_);
  }
}

TEST_P(LayerSaverTest, DamagedPartsAreNoticedAndTheLayerBeginsAnew) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  for (const int units : {2, 5, 8}) {
    const auto reference = dir_.path() / ("reference" + std::to_string(units));
    EXPECT_THROW(Run(reference, kOptions, units), Killed);
    const run::PartialLayer saved = run::LoadPartialLayer(run::Store::Open(reference)).value();
    for (const run::SavedPart& saved_part : saved.parts) {
      const std::string& part = saved_part.file_name;
      const auto run_dir = dir_.path() / (part + std::to_string(units));
      std::filesystem::copy(reference, run_dir);
      {
        // In the dense stage and of kOut the first samples are saved, at the end the last ones.
        const File file = File::OpenForWrite(run_dir / part, /*truncate=*/false);
        const bool last = units == 8 && !part.starts_with("hidden");
        const uint64_t at = last ? file.Size() - 1 : 5;
        std::byte byte[1];
        file.ReadAt(at, byte);
        byte[0] ^= std::byte{1};
        file.WriteAt(at, byte);
      }
      ExpectSame(Run(run_dir, kOptions), calm);
      EXPECT_FALSE(resumed_) << part << " after unit " << units;
    }
  }
}

TEST_P(LayerSaverTest, AMissingPartIsNoticed) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  EXPECT_THROW(Run(dir_.path() / "run", kOptions, 4), Killed);
  std::filesystem::remove(dir_.path() / "run" /
                          LayerPartFileName(kLayer, LayerPart::kMix, /*spare=*/false));
  ExpectSame(Run(dir_.path() / "run", kOptions), calm);
  EXPECT_FALSE(resumed_);
}

TEST_P(LayerSaverTest, WhatAnOlderProgramDidNotRecordIsRecordedOfTheWholeLayer) {
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  EXPECT_THROW(Run(dir_.path() / "run", kOptions, 4), Killed);
  known_ = testing::WithSquareSums();
  ExpectSame(Run(dir_.path() / "run", kOptions), calm);
  EXPECT_FALSE(resumed_);
}

// Those of which no sums are kept are whole without them, and others are not.
TEST_P(LayerSaverTest, ModulesWithoutSumsAreGoneOnFrom) {
  without_sums_ = {modules_.begin(), modules_.end()};
  const LoopResult calm = Run(dir_.path() / "calm", kOptions);
  EXPECT_THROW(Run(dir_.path() / "run", kOptions, 4), Killed);
  EXPECT_THROW(Run(dir_.path() / "other", kOptions, 4), Killed);
  ExpectSame(Run(dir_.path() / "run", kOptions), calm);
  EXPECT_TRUE(resumed_);
  without_sums_.clear();
  Run(dir_.path() / "other", kOptions);
  EXPECT_FALSE(resumed_);
}

INSTANTIATE_TEST_SUITE_P(Places, LayerSaverTest, ::testing::Bool(), [](const auto& spilled) {
  return spilled.param ? "InFiles" : "InMemory";
});

}  // namespace
}  // namespace vernier::calib
