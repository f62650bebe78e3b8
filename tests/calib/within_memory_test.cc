#include "calib/within_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "calib/device.h"
#include "calib/device_memory.h"
#include "recipes/recipe.h"
#include "run/loop_sizes.h"
#include "run/statistic_rows.h"
#include "run/store.h"
#include "tests/calib/loop_support.h"
#include "tests/calib/prepared_calibration.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::calib {
namespace {

using testing::TempDir;

[[noreturn]] void RunOut() {
  throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__},
                              "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
                              "capacity of 4.00 GiB of which 1.20 GiB is free. More words.\nMore.");
}

TEST(WithinMemoryTest, TriesAgainWithLessUntilItSuffices) {
  std::vector<uint64_t> limits, failed;
  CalibrateWithin({.device = "cpu"}, {.plan =
                                          [](const ComputeSpec& compute) {
                                            return CalibrationBudget{
                                                .device_limit = compute.device_memory.Of(4096, 80)};
                                          },
                                      .run =
                                          [&](const CalibrationBudget& budget) {
                                            limits.push_back(budget.device_limit);
                                            if (limits.size() < 3) RunOut();
                                            return CalibrationSummary{};
                                          },
                                      .ran_out =
                                          [&](const CalibrationBudget& budget, uint64_t next) {
                                            failed.push_back(budget.device_limit);
                                            EXPECT_LT(next, budget.device_limit);
                                          }});
  ASSERT_EQ(limits.size(), 3u);
  EXPECT_EQ(failed, std::vector<uint64_t>(limits.begin(), limits.end() - 1));
  EXPECT_LT(limits[1], limits[0]);
  EXPECT_LT(limits[2], limits[1]);
}

TEST(WithinMemoryTest, OtherErrorsAreNotTriedAgain) {
  int runs = 0;
  const MemoryAttempts attempts = {.plan = [](const ComputeSpec&) { return CalibrationBudget{}; },
                                   .run = [&](const CalibrationBudget&) -> CalibrationSummary {
                                     ++runs;
                                     throw Error(ErrorCode::kBadActivation, "m", "p", "r");
                                   },
                                   .ran_out = {}};
  EXPECT_VERNIER_ERROR(CalibrateWithin({.device = "cpu"}, attempts), ErrorCode::kBadActivation,
                       "m");
  EXPECT_EQ(runs, 1);
}

// As PyTorch words them.
TEST(WithinMemoryTest, LibrariesRunOutToo) {
  const auto says = [](const char* message) {
    return IsOutOfMemory(c10::Error({__func__, __FILE__, __LINE__}, message));
  };
  EXPECT_TRUE(says("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"));
  EXPECT_TRUE(
      says("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"));
  EXPECT_TRUE(says("CUDA error: out of memory\nCUDA kernel errors might be reported later."));
  EXPECT_FALSE(says("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasGemmEx(...)`"));
  EXPECT_FALSE(says("CUDA error: an illegal memory access was encountered"));
  EXPECT_VERNIER_ERROR(
      WithMemoryErrors([]() -> int {
        throw c10::Error({__func__, __FILE__, __LINE__}, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED");
      }),
      ErrorCode::kOutOfMemory, "device memory");
  EXPECT_THROW(WithMemoryErrors([]() -> int {
                 throw c10::Error({__func__, __FILE__, __LINE__}, "shapes differ");
               }),
               c10::Error);
}

TEST(WithinMemoryTest, AnErrorSaysWhatWasWantedAndWhatWasFree) {
  try {
    WithMemoryErrors([]() -> int { RunOut(); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_EQ(error.parts().problem,
              "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4.00 "
              "GiB of which 1.20 GiB is free.");
  }
  EXPECT_EQ(WithMemoryErrors([] { return 7; }), 7);
}

// Hears of every unit of work, and may throw.
class Disturber final : public ProgressListener {
 public:
  explicit Disturber(std::function<void(int unit)> disturb) : disturb_(std::move(disturb)) {}
  void Hear(const ProgressEvent& event) override {
    if (event.kind == ProgressEvent::Kind::kAdvance && disturb_) disturb_(units_++);
  }

 private:
  std::function<void(int unit)> disturb_;
  int units_ = 0;
};

constexpr int kLayers = 3;

// How many statistics differ, and which is the first.
std::string Difference(const std::vector<run::StatisticRow>& a,
                       const std::vector<run::StatisticRow>& b) {
  if (a.size() != b.size()) return "other modules";
  std::vector<std::string> names;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].bytes != b[i].bytes) names.push_back(a[i].module + " " + a[i].name);
  }
  return names.empty() ? "" : std::to_string(names.size()) + ", the first " + names.front();
}

class CalibrateWithinTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
    const bool on_gpu = GetParam() != at::kCPU;
    testing::SyntheticOptions model = {.layers = kLayers, .experts = 8};
    if (on_gpu) model = {.layers = kLayers, .experts = 32, .hidden = 1024, .moe_width = 512};
    samples_ = on_gpu ? 64 : 8;
    length_ = on_gpu ? 512 : 64;
    testing::WriteSyntheticDeepseekV4(Source(), model);
    testing::AddTokenizer(Source());
    Json recipe = testing::SyntheticRecipe(dir_.path(), Source(), model.vocab, samples_, length_);
    recipe["compute"]["device"] = on_gpu ? "cuda" : "cpu";
    recipe["compute"]["save_interval"] = 0;
    recipe["quantize"][0]["scale"] = "mse";  // so that there are sums
    recipe_ = recipes::LoadRecipe(testing::WriteRecipe(dir_.path(), recipe));
  }

  // What a test's allocator keeps would be missing in the next one's budget.
  void TearDown() override {
    if (HasDevice(GetParam())) ReleaseUnusedMemory(GetParam());
  }

  struct Result {
    std::vector<run::StatisticRow> rows;  // of the last layer
    std::vector<CalibrationBudget> failed;
    uint64_t limit = 0;
  };

  // `disturb` is called behind each unit of work, of all attempts.
  Result Calibrate(const std::string& name, MemoryBound memory,
                   std::function<void(int unit)> disturb) {
    const PreparedCalibration calibration(recipe_);
    run::Store store = run::Store::Open(dir_.path() / name);
    Disturber listener(std::move(disturb));
    Progress progress(listener, {{"calibrate", 1}});
    ComputeSpec compute = ComputeOf(recipe_);
    compute.device_memory = memory;
    Result result;
    CalibrateWithin(compute, {.plan =
                                  [&](const ComputeSpec& now) {
                                    return calibration.Budget(now, run::LoadLoopSizes(store));
                                  },
                              .run =
                                  [&](const CalibrationBudget& budget) {
                                    result.limit = budget.device_limit;
                                    return calib::Calibrate(calibration.Request(budget), store,
                                                            progress);
                                  },
                              .ran_out = [&](const CalibrationBudget& budget,
                                             uint64_t) { result.failed.push_back(budget); }});
    result.rows = run::StatisticsOfUnit(store, kLayers - 1);
    return result;
  }

  std::filesystem::path Source() const { return dir_.path() / "source"; }

  TempDir dir_;
  int64_t samples_ = 0, length_ = 0;
  recipes::Recipe recipe_;
};

TEST_P(CalibrateWithinTest, GoesOnWithTheSameBytesWhereverMemoryRunsOut) {
  const Result calm = Calibrate("calm", {}, {});
  ASSERT_TRUE(calm.failed.empty());
  const Result disturbed = Calibrate("disturbed", {}, [](int unit) {
    if (unit == 1 || unit == 5) RunOut();
  });
  EXPECT_EQ(disturbed.failed.size(), 2u);
  EXPECT_EQ(Difference(disturbed.rows, calm.rows), "");
}

// Somebody takes all but what a smaller working set needs, for good.
TEST_P(CalibrateWithinTest, LivesWithWhatOthersLeave) {
  if (GetParam() == at::kCPU) GTEST_SKIP() << "host memory is not run out of for a test";
  const at::Device device = ParseDevice("cuda");
  const Result calm = Calibrate("calm", uint64_t{8} << 30u, {});
  const std::optional<uint64_t> peak = PeakMemory(device);
  at::Tensor taken;
  const Result crowded = Calibrate("crowded", uint64_t{8} << 30u, [&](int) {
    if (taken.defined()) return;
    ReleaseUnusedMemory(device);
    // Of what the rest of the calm run took beside what tensors have now, a half.
    ResetPeakMemory(device);
    const uint64_t held = PeakMemory(device).value_or(0);
    const uint64_t left = (std::max(held, peak.value_or(uint64_t{2} << 30u)) - held) / 2;
    const uint64_t free = ReadMachineMemory(device).device_available;
    taken = at::empty({static_cast<int64_t>(free - left)}, at::device(device).dtype(at::kByte));
  });
  EXPECT_FALSE(crowded.failed.empty()) << "it fitted all the same";
  EXPECT_EQ(Difference(crowded.rows, calm.rows), "");
}

// And whatever the limit, they have the same bytes.
TEST_P(CalibrateWithinTest, TensorsNeverHaveMoreThanTheLimit) {
  const at::Device device = ParseDevice(recipe_.compute.device);
  at::empty({1}, device);  // the first use of a device makes its allocator
  if (!PeakMemory(device)) GTEST_SKIP() << "this libtorch does not tell of this device";
  std::optional<Result> ample;
  for (const uint64_t mebibytes : {8192, 2048, 1536, 1024, 896, 768, 640, 512, 448}) {
    try {
      const Result result = Calibrate(std::to_string(mebibytes), mebibytes << 20u, {});
      EXPECT_LE(*PeakMemory(device), result.limit) << mebibytes;
      EXPECT_EQ(result.limit, mebibytes << 20u);
      if (!ample) ample = result;
      EXPECT_EQ(Difference(result.rows, ample->rows), "") << mebibytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBudgetTooSmall) << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, CalibrateWithinTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& device) {
                           return device.param == at::kCPU ? "cpu" : "cuda";
                         });

}  // namespace
}  // namespace vernier::calib
