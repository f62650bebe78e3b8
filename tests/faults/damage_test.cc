// Flipped bits and lost ends in everything that a job reads again: noticed, or harmless, which
// means that the job still ends with the bytes of an undisturbed one.
#include "tests/faults/damage.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "run/sqlite.h"
#include "run/store.h"
#include "tests/faults/job.h"
#include "tests/faults/kill_campaign.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kEffort = VERNIER_TEST_EFFORT;  // 1 in the fast test
constexpr int kTrials = 4 * kEffort;
// Fractions of a calibration.
constexpr double kKilledAt[] = {0.4, 0.7, 0.5, 0.9};
constexpr int kStoreTrials = 300 * kEffort;

class DamageTest : public ::testing::Test {
 protected:
  DamageTest()
      : random_(FaultSeed()),
        bench_({.model = {.layers = 3, .experts = 4, .hidden = 128, .shards = 2},
                .samples = 4,
                .sequence_length = 64}) {}
  ~DamageTest() override {
    fmt::print("{} damages: {} noticed, {} harmless\n", noticed_ + harmless_, noticed_, harmless_);
  }

  void Finish(JobKind kind) {
    const Job calm = bench_.Make(kind);
    ASSERT_EQ(calm.Run().exit_code, 0);
    finished_ = ResultOf(calm);
  }

  // A random one of the files below `directory` that `belongs` accepts.
  fs::path AnyFile(const fs::path& directory, bool (*belongs)(const fs::path&)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (entry.is_regular_file() && fs::file_size(entry) > 0 && belongs(entry.path())) {
        files.push_back(entry.path());
      }
    }
    if (files.empty()) return {};
    std::ranges::sort(files);
    return files[random_() % files.size()];
  }

  std::string Damage(const fs::path& file) {
    return random_() % 3 == 0 ? Truncate(file, random_) : FlipBit(file, random_);
  }

  void ExpectNoticedOrHarmless(const Job& job, const std::string& damage) {
    const CommandResult result = job.Run();
    if (result.exit_code == 0) {
      ++harmless_;
      ExpectResult(job, finished_, damage);
      return;
    }
    ++noticed_;
    EXPECT_EQ(result.exit_code, 1) << damage << "\n" << result.errors;
    EXPECT_THAT(result.errors, HasSubstr("vernier: VN-")) << damage;
    EXPECT_THAT(result.errors, Not(HasSubstr("unexpected"))) << damage;
  }

  // Kills the job when `phase` has come past `fraction`; false when it was quicker.
  bool KillIn(const Job& job, const std::string& phase, double fraction) {
    return job.Run({.kill_when = Past(phase, fraction)}).exit_code == kKilled;
  }

  std::mt19937_64 random_;
  JobBench bench_;
  JobResult finished_;
  int noticed_ = 0, harmless_ = 0;
};

TEST_F(DamageTest, OfTheUnfinishedOutput) {
  Finish(JobKind::kConvert);
  for (int trial = 0; trial < kTrials; ++trial) {
    const Job job = bench_.Make(JobKind::kConvert);
    if (!KillIn(job, "export", 0)) continue;
    const fs::path file = AnyFile(job.output, [](const fs::path&) { return true; });
    if (!file.empty()) ExpectNoticedOrHarmless(job, Damage(file));
    fs::remove_all(job.place);
  }
}

TEST_F(DamageTest, OfTheFinishedOutputIsRepaired) {
  Finish(JobKind::kConvert);
  const Job job = bench_.Make(JobKind::kConvert);
  ASSERT_EQ(job.Run().exit_code, 0);
  for (int trial = 0; trial < kTrials; ++trial) {
    const std::string damage = Damage(AnyFile(job.output, [](const fs::path&) { return true; }));
    const CommandResult again = job.Run();
    EXPECT_EQ(again.exit_code, 0) << damage << "\n" << again.errors;
    ExpectResult(job, finished_, damage);
    ++noticed_;
  }
}

// What a store says, line by line; nothing when it cannot be opened.
std::optional<std::vector<std::string>> ReadStore(const fs::path& run_dir) {
  try {
    run::Store store = run::Store::Open(run_dir);
    std::vector<std::string> lines = {store.CalibrationFinished() ? "finished" : "unfinished"};
    run::Statement identity = store.database().Prepare("SELECT field, value FROM identity");
    while (identity.Step()) lines.push_back(identity.Text(0) + "=" + identity.Text(1));
    for (const run::InputAmax& input : store.Inputs()) {
      lines.push_back(
          fmt::format("{} {} {:a} {}", input.layer, input.module, input.amax, input.tokens));
    }
    for (const run::ShardRecord& shard : store.FinishedShards("plan")) {
      lines.push_back(fmt::format("{} {} {} {} {}", shard.file_name, shard.bytes, shard.hash,
                                  shard.cast_blocks, shard.cast_inexact));
    }
    return lines;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// A store with numbers of every kind, closed.
void WriteStore(const fs::path& run_dir) {
  run::Store store = run::Store::Open(run_dir);
  store.RequireIdentity({{"seed", "1"}, {"source", "0123456789abcdef"}});
  for (int layer = 0; layer < 3; ++layer) {
    run::LayerResult result;
    result.layer = layer;
    result.activations = {"hidden", 4096, "0123"};
    std::vector<run::InputAmax> inputs;
    for (int module = 0; module < 40; ++module) {
      inputs.push_back({.module = fmt::format("layers.{}.experts.{}.w1", layer, module),
                        .layer = layer,
                        .amax = 0.1f * static_cast<float>(module),
                        .tokens = 100 + module});
    }
    result.statistics = run::AmaxRows(inputs);
    store.CommitLayer(result);
  }
  store.FinishCalibration();
  store.CommitShard("plan", {"a.safetensors", 1 << 20, "0123", 3, 2, 1});
  store.CommitShard("plan", {"b.safetensors", 1 << 21, "4567", 6, 5, 4});
}

TEST_F(DamageTest, OfTheStoreNeverChangesWhatItSays) {
  const fs::path run_dir = bench_.directory() / "store", copy = bench_.directory() / "copy";
  WriteStore(run_dir);
  fs::copy(run_dir, copy);
  const auto intact = ReadStore(copy);
  ASSERT_TRUE(intact.has_value());
  for (int trial = 0; trial < kStoreTrials; ++trial) {
    fs::remove_all(copy);
    fs::copy(run_dir, copy);
    // An empty file is an empty store: a loss that anybody sees.
    const fs::path file = copy / "vernier.sqlite";
    const std::string damage = FlipBit(file, random_);
    const auto content = ReadStore(copy);
    if (!content) {
      ++noticed_;
      continue;
    }
    ++harmless_;
    EXPECT_EQ(*content, *intact) << damage;
  }
}

#if VERNIER_TEST_WITH_TORCH

bool IsShard(const fs::path& path) { return path.extension() == ".safetensors"; }
bool IsActivations(const fs::path& path) {
  return !path.filename().string().starts_with("vernier");
}

// A bit of a tensor that calibration reads whole: embedding, head and MTP layers are read first by
// the export, and nobody can tell what they were before.
std::string FlipCalibratedTensor(const fs::path& shard, std::mt19937_64& random) {
  std::vector<checkpoint::TensorInfo> tensors =
      checkpoint::ReadSafetensorsHeader(File::OpenForRead(shard)).tensors;
  std::erase_if(tensors, [](const checkpoint::TensorInfo& tensor) {
    return !tensor.name.starts_with("layers.") || tensor.Bytes() == 0;
  });
  const checkpoint::TensorInfo& tensor = tensors.at(random() % tensors.size());
  return FlipBit(shard, tensor.begin, tensor.end, random);
}

TEST_F(DamageTest, OfTheSourceBetweenCalibrationAndExport) {
  Finish(JobKind::kExport);
  for (int trial = 0; trial < kTrials; ++trial) {
    const Job job = bench_.Make(JobKind::kExport);
    const fs::path shard = AnyFile(bench_.Source(), IsShard);
    const std::string intact = ReadWholeFile(shard);
    const uint64_t header = checkpoint::ReadSafetensorsHeader(File::OpenForRead(shard)).data_begin;
    const std::string damage = trial % 3 == 0   ? FlipBit(shard, 0, header, random_)
                               : trial % 3 == 1 ? FlipCalibratedTensor(shard, random_)
                                                : Truncate(shard, random_);
    ExpectNoticedOrHarmless(job, damage);
    std::ofstream(shard, std::ios::binary) << intact;
    fs::remove_all(job.place);
  }
}

TEST_F(DamageTest, OfTheStoreBetweenCalibrationAndExport) {
  Finish(JobKind::kExport);
  for (int trial = 0; trial < kTrials; ++trial) {
    const Job job = bench_.Make(JobKind::kExport);
    ExpectNoticedOrHarmless(job, Damage(job.run_dir / "vernier.sqlite"));
    fs::remove_all(job.place);
  }
}

TEST_F(DamageTest, OfAnUnfinishedCalibration) {
  Finish(JobKind::kCalibrate);
  const std::vector<std::string> saving = {"--save-interval", "0"};
  Job killed;
  for (int trial = 0; trial < kTrials; ++trial) {
    if (trial % 8 == 0) {
      killed = bench_.Make(JobKind::kCalibrate, saving);
      ASSERT_TRUE(KillIn(killed, "calibrate", kKilledAt[trial / 8 % std::size(kKilledAt)]));
    }
    const Job job = bench_.Make(JobKind::kCalibrate, saving);
    fs::copy(killed.run_dir, job.run_dir);
    const fs::path file = trial % 4 == 3
                              ? AnyFile(job.run_dir, [](const fs::path&) { return true; })
                              : AnyFile(job.run_dir, IsActivations);
    if (!file.empty()) ExpectNoticedOrHarmless(job, Damage(file));
    fs::remove_all(job.place);
  }
}

#endif

}  // namespace
}  // namespace vernier::testing
