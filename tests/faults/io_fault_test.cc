// Every write, fsync, rename and so on of a small job fails once, or from then on, as on a full or
// broken disk: one clear line, a consistent store, and the bytes of an undisturbed run from the
// same command on a repaired disk.
#include "tests/faults/io_fault.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace vernier::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::SizeIs;

// 1: every call fails in one way of four, and of calibration's calls only some do. 4: every call
// fails in every way.
constexpr int kEffort = VERNIER_TEST_EFFORT;
constexpr IoFault kWays[] = {{.error = ENOSPC, .sticky = true},
                             {.error = EIO, .sticky = false},
                             {.error = EIO, .sticky = true},
                             {.error = ENOSPC, .sticky = false}};

// What the command said besides its progress.
std::vector<std::string> Messages(const std::string& errors) {
  std::vector<std::string> messages;
  std::istringstream lines(errors);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("{")) messages.push_back(line);
  }
  return messages;
}

struct FaultCase {
  std::string name;
  JobKind kind = JobKind::kConvert;
  int stride = 1;  // of the fast test
  std::vector<std::string> arguments = {};
};

class IoFaultTest : public ::testing::TestWithParam<FaultCase> {
 protected:
  IoFaultTest()
      : bench_({.model = {.layers = 2, .experts = 3, .hidden = 64, .moe_width = 32, .shards = 2},
                .samples = 2,
                .sequence_length = 16}) {}

  void SetUp() override {
    const Job calm = NewJob();
    const ShimmedRun run = RunCounted(calm);
    ASSERT_EQ(run.command.exit_code, 0) << run.command.errors;
    calls_ = static_cast<int>(run.calls.size());
    ASSERT_GT(calls_, 0);
    finished_ = ResultOf(calm);
  }

  Job NewJob() { return bench_.Make(GetParam().kind, GetParam().arguments); }

  // False when there are fewer calls.
  bool Try(const IoFault& fault) {
    const Job job = NewJob();
    const ShimmedRun run = RunWithFault(job, fault);
    if (run.failed.empty()) return false;
    SCOPED_TRACE(fmt::format("call {}, {}{}: {}", fault.number, strerrorname_np(fault.error),
                             fault.sticky ? " from then on" : "", run.failed));
    ExpectConsistent(job, finished_);
    if (run.command.exit_code == 0) {
      ++unreported_[run.failed.substr(0, run.failed.find(' ')) + " " +
                    std::filesystem::path(run.failed).filename().string()];
      ExpectHarmless(job, run.failed);
    } else {
      EXPECT_EQ(run.command.exit_code, 1) << run.command.errors;
      const std::vector<std::string> messages = Messages(run.command.errors);
      EXPECT_THAT(messages, SizeIs(1)) << run.command.errors;
      EXPECT_THAT(messages.back(), ContainsRegex("^vernier: VN-FILE-00[134]: "));
    }
    const CommandResult resumed = RunUnsynced(job);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
    ExpectResult(job, finished_, run.failed);
    std::filesystem::remove_all(job.place);
    ++faults_;
    return true;
  }

  // SQLite need not report failures of what it could do without, such as tidying up on closing;
  // and nobody needs the text in the lock file. Everything of the output is needed.
  void ExpectHarmless(const Job& job, const std::string& failed) {
    EXPECT_THAT(failed, ::testing::HasSubstr(job.run_dir.string()));
    EXPECT_THAT(failed, ::testing::Not(::testing::HasSubstr(".partial")));
    EXPECT_EQ(ResultOf(job).at("statistics"), finished_.at("statistics"));
  }

  JobBench bench_;
  JobResult finished_;
  int calls_ = 0, faults_ = 0;
  std::map<std::string, int> unreported_;  // by call and file name
};

TEST_P(IoFaultTest, EveryFailingCallIsReportedAndSurvived) {
  const int stride = kEffort == 1 ? GetParam().stride : 1;
  for (int number = 1; number <= calls_ && !HasFailure(); number += stride) {
    for (int way = 0; way < kEffort; ++way) {
      IoFault fault = kWays[(number / stride + way) % 4];
      fault.number = number;
      if (!Try(fault)) break;
    }
  }
  fmt::print("{}: {} calls, {} faults\n", GetParam().name, calls_, faults_);
  for (const auto& [call, count] : unreported_)
    fmt::print("  {} x without need: {}\n", count, call);
}

std::vector<FaultCase> Cases() {
  std::vector<FaultCase> cases = {{"Convert", JobKind::kConvert}};
#if VERNIER_TEST_WITH_TORCH
  cases.push_back({"Export", JobKind::kExport});
  cases.push_back({"Calibrate", JobKind::kCalibrate, 43, {"--save-interval", "0"}});
  cases.push_back({"CalibrateSpilled",
                   JobKind::kCalibrate,
                   47,
                   {"--host-memory", "1KiB", "--save-interval", "0"}});
#endif
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Jobs, IoFaultTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace vernier::testing
