// Weights that calibration solves, on each device: it does not matter how their values come.
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "run/solved_weight.h"
#include "run/store.h"
#include "tests/calib/loop_support.h"
#include "tests/calib/prepared_calibration.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::calib {
namespace {

class Silent final : public ProgressListener {
 public:
  void Hear(const ProgressEvent&) override {}
};

class SolveOnDeviceTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  struct Solved {
    std::map<std::string, std::vector<std::byte>> bytes;  // by module
    int by_gptq = 0;
  };

  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
    source_ = testing::CopyTestModel(dir_.path(), "tiny-qwen3-moe");
  }

  // All layers twice, with folds: a second run loads what the first one solved. `streams`: weights
  // are read ahead, on a CPU too, and what is solved goes to files as it comes.
  Solved Solve(const std::string& name, bool streams) {
    Json json = testing::SyntheticRecipe(dir_.path(), source_, /*vocab=*/256, /*samples=*/64,
                                         /*sequence_length=*/64);
    json["compute"]["device"] = GetParam() == at::kCPU ? "cpu" : "cuda";
    json["non_finite"] = streams ? "stop" : "clamp";  // who clamps reads on the host
    json["propagate"] = "quantised";
    json["quantize"] = {{{"role", {"attention", "routed_expert"}},
                         {"format", "nvfp4"},
                         {"scale", "gptq"},
                         {"smooth", "auto"}}};
    const PreparedCalibration calibration(
        recipes::LoadRecipe(testing::WriteRecipe(dir_.path(), json, name + ".json")));
    run::Store store = run::Store::Open(dir_.path() / name);
    Progress progress(silent_, {{"calibrate", 1}});
    const CalibrationBudget budget = calibration.Budget(ComputeOf(calibration.recipe));
    CalibrationRequest request = calibration.Request(budget);
    if (streams) {
      request.stream = {.ring_bytes = 1};
      request.solved_batch_bytes = 3000;
    }
    Calibrate(request, store, progress);
    Solved solved;
    for (const run::SolvedWeight& weight : run::ListSolvedWeights(store.database())) {
      solved.bytes[weight.module] = run::ReadSolvedWeight(store.run_dir(), weight);
      solved.by_gptq += weight.method == run::kGptqMethod ? 1 : 0;
    }
    return solved;
  }

  testing::TempDir dir_;
  std::filesystem::path source_;
  Silent silent_;
};

// And codes in files by those in memory.
TEST_P(SolveOnDeviceTest, KeptValuesAreThoseThatAreRead) {
  const Solved kept = Solve("kept", /*streams=*/true);
  const Solved read = Solve("read", /*streams=*/false);
  EXPECT_GT(kept.by_gptq, 10);
  EXPECT_EQ(kept.by_gptq, read.by_gptq);
  ASSERT_EQ(kept.bytes.size(), read.bytes.size());
  for (const auto& [module, bytes] : kept.bytes) EXPECT_EQ(bytes, read.bytes.at(module)) << module;
}

INSTANTIATE_TEST_SUITE_P(Devices, SolveOnDeviceTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& device) {
                           return device.param == at::kCPU ? "cpu" : "cuda";
                         });

}  // namespace
}  // namespace vernier::calib
