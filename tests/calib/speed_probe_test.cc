#include "calib/speed_probe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

class SpeedProbeTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }

  ComputeSpeed Measure(const std::string& model, int64_t samples = 64) {
    const checkpoint::SourceModel source =
        checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) / "models" / model);
    const ComputeSpec compute = {.device = GetParam() == at::kCPU ? "cpu" : "cuda"};
    const Workload workload = {.samples = samples, .sequence_length = 64};
    const MachineMemory ample = {.host_available = uint64_t{8} << 30,
                                 .device_available = uint64_t{8} << 30};
    return MeasureSpeed(source, compute, workload, PlanBudget(source, compute, workload, ample));
  }
};

// Whatever machine this is.
constexpr double kSlowest = 1e5, kFastest = 1e16;

TEST_P(SpeedProbeTest, MeasuresLayersAndTheirExperts) {
  const ComputeSpeed speed = Measure("tiny-deepseek-v4");
  for (const double flops : {speed.dense_flops, speed.expert_flops}) {
    EXPECT_GT(flops, kSlowest);
    EXPECT_LT(flops, kFastest);
  }
}

TEST_P(SpeedProbeTest, ALayerWithoutExpertsHasOneSpeed) {
  const ComputeSpeed speed = Measure("tiny-llama");
  EXPECT_GT(speed.dense_flops, kSlowest);
  EXPECT_EQ(speed.expert_flops, speed.dense_flops);
}

INSTANTIATE_TEST_SUITE_P(Devices, SpeedProbeTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& device) {
                           return device.param == at::kCPU ? "cpu" : "cuda";
                         });

}  // namespace
}  // namespace vernier::calib
