// kill -9 at random instants; the same command again until it is done; the bytes of a run that
// nobody disturbed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/faults/kill_campaign.h"

namespace vernier::testing {
namespace {

// Of every job; the slow twin of this test has more.
constexpr int kKills = VERNIER_TEST_EFFORT;

struct KillCase {
  std::string name;
  JobKind kind = JobKind::kRun;
  std::vector<std::string> arguments = {};
  bool on_gpu = false;
};

bool HasGpu(JobBench& bench) {
  const CommandResult tried = bench.Make(JobKind::kCalibrate, {"--device", "cuda"}).Run();
  return tried.errors.find("VN-CALIB-001") == std::string::npos;
}

class KillTest : public ::testing::TestWithParam<KillCase> {};

TEST_P(KillTest, ResumesUntilDoneWithTheSameBytes) {
  JobBench bench(
      {.model = {.layers = 5, .experts = 16, .hidden = 256, .moe_width = 128, .shards = 6},
       .samples = 8,
       .sequence_length = 128});
  if (GetParam().on_gpu && !HasGpu(bench))
    GTEST_SKIP() << "no CUDA device in this build or machine";
  KillCampaign campaign(bench, FaultSeed());
  campaign.Run(GetParam().kind, GetParam().arguments, kKills);
  fmt::print("{}: {}\n", GetParam().name, campaign.tally().Text());
}

std::vector<KillCase> Cases() {
  std::vector<KillCase> cases = {{"Convert", JobKind::kConvert}};
#if VERNIER_TEST_WITH_TORCH
  const std::vector<std::string> spilled = {"--host-memory", "1KiB"};
  const std::vector<std::string> saving = {"--save-interval", "0"};
  const std::vector<std::string> spilled_saving = {"--host-memory", "1KiB", "--save-interval", "0"};
  cases.push_back({"Export", JobKind::kExport});
  cases.push_back({"Calibrate", JobKind::kCalibrate, saving});
  cases.push_back({"CalibrateSpilled", JobKind::kCalibrate, spilled_saving});
  cases.push_back({"CalibrateTogether", JobKind::kCalibrate, {"--save-interval", "0.5"}});
  cases.push_back({"CalibrateOnGpu",
                   JobKind::kCalibrate,
                   {"--device", "cuda", "--save-interval", "0.5"},
                   /*on_gpu=*/true});
  cases.push_back({"RunOnGpu", JobKind::kRun, {"--device", "cuda"}, /*on_gpu=*/true});
  cases.push_back({"Run", JobKind::kRun});
  cases.push_back({"RunSpilled", JobKind::kRun, spilled});
#endif
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Jobs, KillTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace vernier::testing
