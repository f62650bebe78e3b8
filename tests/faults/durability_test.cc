// In which order things reach the disk: what a power failure needs, and no kill can show.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/faults/io_fault.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

struct Call {
  std::string name, path, to;  // `to` of a rename
};

bool IsSync(const Call& call) { return call.name == "fsync" || call.name == "fdatasync"; }

std::vector<Call> Parse(const std::vector<std::string>& lines) {
  std::vector<Call> calls;
  for (const std::string& line : lines) {
    Call call;
    std::istringstream(line) >> call.name >> call.path >> call.to;
    calls.push_back(call);
  }
  return calls;
}

// Of short layers nothing but the end reaches the disk, unless each is to be saved.
std::vector<std::string> Options(JobKind kind) {
  if (kind != JobKind::kCalibrate) return {};
  return {"--save-interval", "0"};
}

class DurabilityTest : public ::testing::TestWithParam<JobKind> {
 protected:
  DurabilityTest()
      : bench_({.model = {.layers = 2, .experts = 3, .hidden = 64, .moe_width = 32, .shards = 2},
                .samples = 2,
                .sequence_length = 16}),
        job_(bench_.Make(GetParam(), Options(GetParam()))) {
    const ShimmedRun run = RunCounted(job_);
    EXPECT_EQ(run.command.exit_code, 0) << run.command.errors;
    calls_ = Parse(run.calls);
  }

  // The last call before `end` on `path`.
  const Call* LastOn(const std::string& path, size_t end) const {
    for (size_t i = end; i-- > 0;) {
      if (calls_[i].path == path) return &calls_[i];
    }
    return nullptr;
  }

  bool IsStore(const std::string& path) const {
    return path.starts_with((job_.run_dir / "vernier.sqlite").string());
  }

  JobBench bench_;
  Job job_;
  std::vector<Call> calls_;
};

TEST_P(DurabilityTest, OnlyTemporaryNamesAreWritten) {
  for (const Call& call : calls_) {
    if (call.path.starts_with(job_.run_dir.string()) || call.name == "rename" || IsSync(call) ||
        call.name == "mkdir") {
      continue;
    }
    EXPECT_TRUE(call.path.ends_with(".partial")) << call.name << " " << call.path;
  }
}

TEST_P(DurabilityTest, DataIsOnTheDiskBeforeItsNameAndTheNameBeforeTheStoreKnows) {
  int renames = 0;
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].name != "rename") continue;
    ++renames;
    const Call* data = LastOn(calls_[i].path, i);
    EXPECT_TRUE(data != nullptr && IsSync(*data)) << calls_[i].path << " is renamed unsynced";
    ASSERT_LT(i + 1, calls_.size());
    const Call& next = calls_[i + 1];
    EXPECT_TRUE(IsSync(next) && next.path == fs::path(calls_[i].to).parent_path())
        << "after the renaming of " << calls_[i].path << ": " << next.name << " " << next.path;
  }
  EXPECT_GT(renames, 0);
}

TEST_P(DurabilityTest, NewDirectoriesAreOnTheDiskBeforeAnythingIsInThem) {
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].name != "mkdir") continue;
    ASSERT_LT(i + 1, calls_.size());
    EXPECT_TRUE(IsSync(calls_[i + 1]) &&
                calls_[i + 1].path == fs::path(calls_[i].path).parent_path())
        << calls_[i].path;
  }
}

// The mark that makes the output this plan's, before the first shard.
TEST_P(DurabilityTest, TheOutputIsMarkedBeforeItIsWritten) {
  if (GetParam() == JobKind::kCalibrate) return;
  const std::string mark = (job_.output / "vernier_manifest.json.partial").string();
  std::vector<std::string> seen;
  for (const Call& call : calls_) {
    if (call.path == mark || call.path == job_.output.string()) seen.push_back(call.name);
    if (call.path.ends_with(".safetensors.partial")) break;
  }
  ASSERT_GE(seen.size(), 2u);
  EXPECT_EQ(seen[seen.size() - 2], "fsync") << "of the mark";
  EXPECT_EQ(seen.back(), "fsync") << "of the directory";
}

TEST_P(DurabilityTest, TheStoreIsSyncedAfterItsLastCommit) {
  size_t last = 0;
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (IsStore(calls_[i].path) && calls_[i].name.starts_with("pwrite")) last = i;
  }
  bool synced = false;
  for (size_t i = last; i < calls_.size(); ++i) {
    synced |= IsSync(calls_[i]) && IsStore(calls_[i].path);
  }
  EXPECT_TRUE(synced);
}

std::vector<JobKind> Kinds() {
  std::vector<JobKind> kinds = {JobKind::kConvert};
#if VERNIER_TEST_WITH_TORCH
  kinds.insert(kinds.end(), {JobKind::kExport, JobKind::kCalibrate});
#endif
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Jobs, DurabilityTest, ::testing::ValuesIn(Kinds()),
                         [](const auto& test) { return JobName(test.param); });

}  // namespace
}  // namespace vernier::testing
