#include "tests/faults/kill_campaign.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/json.h"

namespace vernier::testing {
namespace {

// One kill of so many comes before the first report; the others are spread over the work.
constexpr uint64_t kStartUpShare = 6;

// Of the last report of --progress json.
std::string LastPhase(const std::string& errors) {
  std::string phase = "start-up", line;
  std::istringstream lines(errors);
  while (std::getline(lines, line)) {
    const Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object()) phase = event.value("phase", phase);
  }
  return phase;
}

std::string MedianAndMaximum(std::vector<double> seconds) {
  if (seconds.empty()) return "nothing";
  std::ranges::sort(seconds);
  return fmt::format("median {:.3f} s, largest {:.3f} s", seconds[seconds.size() / 2],
                     seconds.back());
}

}  // namespace

uint64_t FaultSeed() {
  const char* given = std::getenv("VERNIER_FAULT_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  fmt::print("VERNIER_FAULT_SEED={}\n", seed);
  return seed;
}

std::string KillTally::Text() const {
  std::string text = fmt::format("{} kills of {} jobs;", kills, jobs);
  for (const auto& [phase, count] : kills_by_phase) text += fmt::format(" {} {},", phase, count);
  return text + fmt::format(" lost per kill: {}; without start-up: {}",
                            MedianAndMaximum(lost_seconds), MedianAndMaximum(lost_work_seconds));
}

void KillCampaign::Run(JobKind kind, const std::vector<std::string>& arguments, int kills) {
  const Job undisturbed = bench_.Make(kind, arguments);
  const CommandResult run = undisturbed.Run();
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  const Calm calm = {.result = ResultOf(undisturbed),
                     .start_up = run.until_report.count(),
                     .work = (run.seconds - run.until_report).count()};
  std::filesystem::remove_all(undisturbed.place);
  enough_ = tally_.kills + kills;
  while (tally_.kills < enough_) {
    const Job job = bench_.Make(kind, arguments);
    ++tally_.jobs;
    Finish(job, calm);
    if (::testing::Test::HasFailure()) return;
    std::filesystem::remove_all(job.place);
  }
}

CommandOptions KillCampaign::NextKill(const Calm& calm) {
  if (tally_.kills == enough_) return {};
  const bool in_work = random_() % kStartUpShare != 0;
  std::uniform_real_distribution<double> instant(0, in_work ? calm.work : calm.start_up);
  return {.kill_after = std::chrono::duration<double>(instant(random_)),
          .kill_after_report = in_work};
}

void KillCampaign::Finish(const Job& job, const Calm& calm) {
  double spent = 0, spent_on_work = 0;
  for (int kills = 0;; ++kills) {
    const CommandResult run = job.Run(NextKill(calm));
    spent += run.seconds.count();
    if (run.until_report.count() > 0) spent_on_work += (run.seconds - run.until_report).count();
    if (run.exit_code == kKilled) {
      NoteKill(job, calm, run);
      continue;
    }
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    ExpectResult(job, calm.result, fmt::format("{} kills", kills));
    if (kills == 0) return;
    tally_.lost_seconds.push_back((spent - calm.start_up - calm.work) / kills);
    tally_.lost_work_seconds.push_back((spent_on_work - calm.work) / kills);
    return;
  }
}

void KillCampaign::NoteKill(const Job& job, const Calm& calm, const CommandResult& killed) {
  ++tally_.kills;
  ++tally_.kills_by_phase[LastPhase(killed.errors)];
  ExpectConsistent(job, calm.result);
}

}  // namespace vernier::testing
