// Interrupted, repeated and refused exports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "export/directory_lock.h"
#include "export/exporter.h"
#include "export/output_directory.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

constexpr int kShards = 7;

// A file's identity: a file written again has another inode.
ino_t Inode(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_ino;
}

std::string ShardName(int number) {
  return "model-0000" + std::to_string(number) + "-of-00007.safetensors";
}

// Lets no file of this process grow beyond `bytes`: a write fails in the middle, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

class ExportResumeTest : public ExportFixture {
 protected:
  void SetUp() override {
    WriteSource({.shards = kShards});
    // Blocks that the cast must re-encode, so that a resumed run has statistics to remember.
    Overwrite("layers.0.ffn.experts.0.w2.scale", 0, {90});
    Overwrite("layers.0.ffn.experts.0.w2.weight", 0, std::vector<uint8_t>(16, 0x77));
    finished_summary_ = Export();
    finished_ = ReadTree(Output());
    for (int i = 1; i <= kShards; ++i) inodes_[i] = Inode(Output() / ShardName(i));
  }

  // Exports again and expects the bytes of the uninterrupted run, with `rewritten` shards made
  // again.
  void ResumeAndExpectSameBytes(std::vector<int> rewritten) {
    const ExportSummary summary = Export();
    EXPECT_EQ(ReadTree(Output()), finished_);
    EXPECT_EQ(summary.shards_written, static_cast<int64_t>(rewritten.size()));
    EXPECT_EQ(summary.shards_reused, kShards - summary.shards_written);
    EXPECT_EQ(summary.cast.blocks, finished_summary_.cast.blocks);
    EXPECT_EQ(summary.cast.inexact, 1);
    for (const auto& [number, inode] : inodes_) {
      if (std::ranges::count(rewritten, number) > 0) continue;
      EXPECT_EQ(Inode(Output() / ShardName(number)), inode) << "shard " << number;
    }
  }

  // The manifest as it is before and while the export writes.
  void LeaveOnlyTheClaim() const {
    const fs::path manifest = Output() / "vernier_manifest.json";
    const std::string& whole = finished_.at("vernier_manifest.json");
    fs::remove(manifest);
    std::ofstream(PartialPath(manifest)) << whole.substr(0, whole.find(','));
  }

  ExportSummary finished_summary_;
  std::map<std::string, std::string> finished_;
  std::map<int, ino_t> inodes_;
};

TEST_F(ExportResumeTest, RepeatingAFinishedExportWritesNoShard) { ResumeAndExpectSameBytes({}); }

TEST_F(ExportResumeTest, WritesOnlyTheShardThatIsMissing) {
  fs::remove(Output() / ShardName(3));
  ResumeAndExpectSameBytes({3});
}

TEST_F(ExportResumeTest, StartsAHalfWrittenShardAgain) {
  fs::remove(Output() / ShardName(2));
  LeaveOnlyTheClaim();
  fs::remove(Output() / "config.json");
  std::ofstream(PartialPath(Output() / ShardName(2))) << std::string(1 << 20, 'x');
  ResumeAndExpectSameBytes({2});
  EXPECT_FALSE(fs::exists(PartialPath(Output() / ShardName(2))));
}

TEST_F(ExportResumeTest, NoticesAShardThatWasChangedBehindItsBack) {
  const fs::path shard = Output() / ShardName(5);
  std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(fs::file_size(shard)) - 1);
  file.put('\x55');
  file.close();
  ResumeAndExpectSameBytes({5});
}

TEST_F(ExportResumeTest, NoticesATruncatedShard) {
  fs::resize_file(Output() / ShardName(7), fs::file_size(Output() / ShardName(7)) - 1);
  ResumeAndExpectSameBytes({7});
}

TEST_F(ExportResumeTest, ACrashBeforeTheFirstShardLeavesAUsableDirectory) {
  fs::remove_all(Output());
  fs::remove_all(RunDir());  // no shard was recorded
  fs::create_directories(Output());
  LeaveOnlyTheClaim();
  std::ofstream(PartialPath(Output() / ShardName(1))) << "half";
  ResumeAndExpectSameBytes({1, 2, 3, 4, 5, 6, 7});
}

TEST_F(ExportResumeTest, AFullDiskLosesNothing) {
  // Every shard but the largest fits.
  std::vector<uint64_t> sizes;
  for (int i = 1; i <= kShards; ++i) sizes.push_back(fs::file_size(Output() / ShardName(i)));
  const uint64_t largest = *std::ranges::max_element(sizes);
  fs::remove_all(Output());
  fs::remove_all(RunDir());
  {
    const FileSizeLimit limit(largest - 1);
    EXPECT_VERNIER_ERROR(Export(), ErrorCode::kFileWrite, ".partial");
  }
  const auto finished = std::ranges::max_element(sizes) - sizes.begin();
  for (int i = 1; i <= kShards; ++i) {
    EXPECT_EQ(fs::exists(Output() / ShardName(i)), i <= finished) << i;
    inodes_[i] = i <= finished ? Inode(Output() / ShardName(i)) : 0;
  }
  EXPECT_FALSE(fs::exists(Output() / "config.json"));
  std::vector<int> rest;
  for (int i = static_cast<int>(finished) + 1; i <= kShards; ++i) rest.push_back(i);
  ResumeAndExpectSameBytes(rest);
}

TEST_F(ExportResumeTest, AMovedOutputIsRecognised) {
  const fs::path elsewhere = Output().parent_path() / "elsewhere/out";
  fs::create_directories(elsewhere.parent_path());
  fs::rename(Output(), elsewhere);
  fs::remove(elsewhere / ShardName(4));
  const ExportSummary summary = ExportTo(elsewhere);
  EXPECT_EQ(ReadTree(elsewhere), finished_);
  EXPECT_EQ(summary.shards_written, 1);
}

TEST_F(ExportResumeTest, ASecondOutputIsWrittenWhole) {
  const fs::path second = Output().parent_path() / "second";
  EXPECT_EQ(ExportTo(second).shards_written, kShards);
  EXPECT_EQ(ReadTree(second), finished_);
}

TEST_F(ExportResumeTest, RefusesADirectoryWithSomethingElse) {
  const fs::path other = Output().parent_path() / "other";
  fs::create_directories(other);
  std::ofstream(other / "thesis.txt") << "precious";
  EXPECT_VERNIER_ERROR(ExportTo(other), ErrorCode::kOutputExists, other.string());
  EXPECT_THAT(ReadTree(other), ::testing::SizeIs(1));
}

TEST_F(ExportResumeTest, RefusesAnotherPlansOutput) {
  EXPECT_VERNIER_ERROR(ExportTo(Output(), HybridRules(recipes::ScaleMethod::kMax)),
                       ErrorCode::kOutputExists, "not empty");
  EXPECT_EQ(ReadTree(Output()), finished_);
}

TEST_F(ExportResumeTest, RefusesTheSourceItself) {
  const auto before = ReadTree(Source());
  EXPECT_VERNIER_ERROR(ExportTo(Source()), ErrorCode::kOutputExists, "it is the source");
  EXPECT_VERNIER_ERROR(ExportTo(Source() / "inner/out"), ErrorCode::kOutputExists,
                       "inside the source");
  EXPECT_EQ(ReadTree(Source()), before);
}

TEST_F(ExportResumeTest, TakesOverWhatAnotherPlanHasOnlyBegun) {
  const fs::path begun = Output().parent_path() / "begun";
  fs::create_directories(begun);
  std::ofstream(begun / "vernier_manifest.json.partial") << ManifestOpening("of another plan");
  std::ofstream(begun / "model-00001-of-00009.safetensors.partial") << "half";
  ExportTo(begun);
  EXPECT_EQ(ReadTree(begun), finished_);
}

TEST_F(ExportResumeTest, ADeathBetweenCreatingAndWritingTheMarkHarmsNobody) {
  const fs::path begun = Output().parent_path() / "begun";
  fs::create_directories(begun);
  std::ofstream(begun / "vernier_manifest.json.partial").close();
  ExportTo(begun);
  EXPECT_EQ(ReadTree(begun), finished_);
}

TEST_F(ExportResumeTest, KeepsWhatAnotherPlanHasFinished) {
  const fs::path other = Output().parent_path() / "other";
  fs::create_directories(other);
  std::ofstream(other / "vernier_manifest.json.partial") << ManifestOpening("of another plan");
  std::ofstream(other / "model-00001-of-00009.safetensors") << "whole";
  EXPECT_VERNIER_ERROR(ExportTo(other), ErrorCode::kOutputExists, "not empty");
  EXPECT_THAT(ReadTree(other), ::testing::SizeIs(2));
}

TEST_F(ExportResumeTest, RefusesADirectoryThatAnotherProcessWrites) {
  {
    const DirectoryLock other(Output());  // of another descriptor, as another process's is
    EXPECT_VERNIER_ERROR(Export(), ErrorCode::kOutputLocked, Output().string());
  }
  ResumeAndExpectSameBytes({});
}

TEST_F(ExportResumeTest, RefusesAFileInThePlaceOfTheOutput) {
  const fs::path file = Output().parent_path() / "file";
  std::ofstream(file) << "x";
  EXPECT_VERNIER_ERROR(ExportTo(file), ErrorCode::kOutputExists, "not a directory");
}

TEST_F(ExportResumeTest, OtherStatisticsAreAnotherPlan) {
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  inputs_ = Calibrated(recipes::MakePlan(source, MakeRecipe(HybridRules())));
  inputs_[0].amax *= 2;
  inputs_[1].amax *= 2;
  inputs_[2].amax *= 2;
  EXPECT_VERNIER_ERROR(Export(), ErrorCode::kOutputExists, "not empty");
}

}  // namespace
}  // namespace vernier::exporter
