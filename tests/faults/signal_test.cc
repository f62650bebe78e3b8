// Ctrl-C once: the work in flight is finished, and the same command continues. Twice: it leaves at
// once, and the same command continues all the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>

#include "tests/faults/job.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kInterrupted = 130;
constexpr std::chrono::seconds kAtOnce(1);

bool IsInPhase(const std::string& line, const std::string& phase) {
  const Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  return event.is_object() && event.value("phase", "") == phase;
}

// Interrupts once, at the first report of `phase`.
CommandOptions InterruptIn(const std::string& phase) {
  return {.kill_when =
              [phase, sent = false](const std::string& line) mutable {
                if (sent || !IsInPhase(line, phase)) return false;
                return sent = true;
              },
          .signal = SIGINT};
}

int CountOf(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class SignalTest : public ::testing::Test {
 protected:
  SignalTest()
      : bench_({.model = {.layers = 4, .experts = 16, .hidden = 256, .moe_width = 128, .shards = 8},
                .samples = 8,
                .sequence_length = 128}) {}

  void ExpectResumes(const Job& job, JobKind kind) {
    const Job calm = bench_.Make(kind);
    ASSERT_EQ(calm.Run().exit_code, 0);
    const CommandResult resumed = job.Run();
    ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
    ExpectResult(job, ResultOf(calm), "a signal");
  }

  // One line that says how to continue.
  static void ExpectInterrupted(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, kInterrupted) << result.errors;
    EXPECT_EQ(CountOf(result.errors, "vernier: VN-"), 1) << result.errors;
    EXPECT_THAT(result.errors, HasSubstr("vernier: VN-RUN-001: "));
    EXPECT_THAT(result.errors, HasSubstr("Run the same command again"));
  }

  JobBench bench_;
};

TEST_F(SignalTest, OnceInExportItFinishesTheShardInFlight) {
  const Job job = bench_.Make(JobKind::kConvert);
  ExpectInterrupted(job.Run(InterruptIn("export")));
  size_t finished = 0;
  for (const auto& [name, hash] : HashTree(job.output)) {
    finished += name.ends_with(".safetensors") ? 1 : 0;
    EXPECT_FALSE(name.ends_with(".safetensors.partial")) << "a shard was given up";
  }
  EXPECT_LT(finished, 8u);
  ExpectResumes(job, JobKind::kConvert);
}

TEST_F(SignalTest, OnceInTheAuditItStopsWithACompleteOutput) {
  const Job job = bench_.Make(JobKind::kConvert);
  ExpectInterrupted(job.Run(InterruptIn("validate")));
  EXPECT_TRUE(std::filesystem::exists(job.output / "vernier_manifest.json"));
  ExpectResumes(job, JobKind::kConvert);
}

TEST_F(SignalTest, ValidateAloneStopsToo) {
  const Job job = bench_.Make(JobKind::kConvert);
  ASSERT_EQ(job.Run().exit_code, 0);
  const CommandResult result = RunVernier(
      {"validate", job.output.string(), "--source", bench_.Source().string(), "--progress", "json"},
      InterruptIn("validate"));
  ExpectInterrupted(result);
}

TEST_F(SignalTest, TwiceItLeavesAtOnce) {
  const Job job = bench_.Make(JobKind::kConvert);
  int sent = 0;
  Clock::time_point second;
  const auto interrupt = [&](const std::string& line) {
    if (sent == 2 || (sent == 0 && !IsInPhase(line, "export"))) return false;
    if (++sent == 2) second = Clock::now();
    return true;
  };
  const CommandResult result = job.Run({.kill_when = interrupt, .signal = SIGINT});
  ASSERT_EQ(sent, 2);
  EXPECT_EQ(result.exit_code, kInterrupted) << result.errors;
  EXPECT_LT(Clock::now() - second, kAtOnce);
  ExpectResumes(job, JobKind::kConvert);
}

#if VERNIER_TEST_WITH_TORCH
TEST_F(SignalTest, OnceInCalibrationItGoesOnFromThere) {
  const Job job = bench_.Make(JobKind::kRun);
  ExpectInterrupted(job.Run(InterruptIn("calibrate")));
  ExpectResumes(job, JobKind::kRun);
}
#endif

}  // namespace
}  // namespace vernier::testing
