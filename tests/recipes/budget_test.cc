#include "recipes/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::testing::HasSubstr;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::OpenTinyModel;
using ::vernier::testing::RecipeOf;
using ::vernier::testing::RoleRule;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr MachineMemory kAmple = {.host_available = 64 * kGiB, .device_available = 64 * kGiB};

class BudgetTest : public ::testing::Test {
 protected:
  BudgetTest() {
    recipe_ = RecipeOf({RoleRule(checkpoint::Role::kRoutedExpert, ScaleMethod::kAuto)});
    recipe_.calibration.data.samples = 32;
    recipe_.calibration.data.sequence_length = 128;
  }
  CalibrationBudget Budget(const MachineMemory& machine = kAmple) const {
    return PlanBudget(source_, recipe_, machine);
  }

  checkpoint::SourceModel source_ = OpenTinyModel();
  Recipe recipe_;
};

TEST_F(BudgetTest, PartsAreTheModelsSizes) {
  const CalibrationBudget budget = Budget();
  // 3 matrices of 128 x 128 in BF16.
  EXPECT_EQ(budget.expert_bytes, 3u * 128 * 128 * 2);
  // 4 streams of 128 values in BF16.
  EXPECT_EQ(budget.checkpoint_bytes, 32u * 128 * 4 * 128 * 2);
  // Also FFN inputs in BF16, sums in F32, 4 + 16 mixing weights, and 3 experts with weights.
  EXPECT_EQ(budget.hidden_bytes,
            budget.checkpoint_bytes + 32u * 128 * (128 * (2 + 4) + (4 + 16 + 2 * 3) * 4));
  // On disk the sums have two files.
  EXPECT_EQ(budget.layer_bytes, budget.hidden_bytes + 32u * 128 * 128 * 4);
  recipe_.calibration.dtype = ComputeDtype::kFloat32;
  EXPECT_EQ(Budget().expert_bytes, 2 * budget.expert_bytes);
  EXPECT_EQ(Budget().checkpoint_bytes, 2 * budget.checkpoint_bytes);
}

TEST_F(BudgetTest, AmpleMemoryTakesAllExpertsAndTheLargestBatch) {
  const CalibrationBudget budget = Budget();
  EXPECT_EQ(budget.experts_per_group, 8);
  EXPECT_EQ(budget.batch_size, 8);
  EXPECT_EQ(budget.query_chunk, 256);
  EXPECT_FALSE(budget.spill_hidden);
}

TEST_F(BudgetTest, NeverMoreThanDeviceMemory) {
  int64_t experts = 0, batch = 0;
  for (uint64_t memory = 4 * kMiB; memory < 64 * kMiB; memory += kMiB / 4) {
    recipe_.compute.device_memory = memory;
    CalibrationBudget budget;
    try {
      budget = Budget();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kBudgetTooSmall);
      EXPECT_EQ(batch, 0) << "what fitted " << memory << " must fit more";
      continue;
    }
    EXPECT_LE(budget.device_peak, memory);
    EXPECT_GE(budget.batch_size, batch) << memory;
    EXPECT_GE(budget.experts_per_group, 1);
    experts = std::max(experts, budget.experts_per_group);
    batch = budget.batch_size;
  }
  EXPECT_EQ(experts, 8);
  EXPECT_EQ(batch, 8);
}

TEST_F(BudgetTest, GroupsGrowWithDeviceMemoryAtAFixedBatch) {
  recipe_.calibration.batch_size = 1;
  recipe_.compute.device_memory = kGiB;
  const CalibrationBudget all = Budget();
  int64_t previous = 8;
  // With room for fewer than two experts, query chunks would shrink and make room for more.
  for (uint64_t missing = 1; missing <= 6; ++missing) {
    recipe_.compute.device_memory = all.device_peak - missing * all.expert_bytes;
    const CalibrationBudget budget = Budget();
    EXPECT_LE(budget.experts_per_group, previous);
    EXPECT_LE(budget.device_peak, recipe_.compute.device_memory);
    previous = budget.experts_per_group;
  }
  // The next group is read meanwhile: room for 7 is room for two groups of 3.
  recipe_.compute.device_memory = all.device_peak - 1;
  EXPECT_EQ(Budget().experts_per_group, 3);
}

TEST_F(BudgetTest, QueryChunksShrinkBeforeTheBudgetFails) {
  recipe_.calibration.data.sequence_length = 1024;
  recipe_.calibration.batch_size = 1;
  recipe_.compute.device_memory = kGiB;
  const CalibrationBudget large = Budget();
  EXPECT_EQ(large.query_chunk, 256);
  const uint64_t one_group = large.device_peak - 8 * large.expert_bytes + 2 * large.expert_bytes;
  recipe_.compute.device_memory = one_group - 1;
  EXPECT_LT(Budget().query_chunk, 256);
}

TEST_F(BudgetTest, TooLittleIsAnErrorWithTheSizes) {
  recipe_.compute.device_memory = kMiB;
  EXPECT_THAT(ErrorOf(ErrorCode::kBudgetTooSmall, [&] { Budget(); }),
              HasSubstr("1.00 MiB are there, and the smallest working set needs"));
}

TEST_F(BudgetTest, ABatchOfTheRecipeIsUsedButNotMoreThanTheSamples) {
  recipe_.calibration.batch_size = 5;
  EXPECT_EQ(Budget().batch_size, 5);
  recipe_.calibration.data.samples = 3;
  EXPECT_EQ(Budget().batch_size, 3);
  recipe_.calibration.batch_size = 0;
  EXPECT_EQ(Budget().batch_size, 2);
}

TEST_F(BudgetTest, SizesGrowWithSamples) {
  CalibrationBudget previous;
  for (int64_t samples = 1; samples <= 4096; samples *= 4) {
    recipe_.calibration.data.samples = samples;
    const CalibrationBudget budget = Budget();
    EXPECT_GT(budget.hidden_bytes, previous.hidden_bytes);
    EXPECT_GT(budget.checkpoint_bytes, previous.checkpoint_bytes);
    EXPECT_GE(budget.host_peak, previous.host_peak);
    previous = budget;
  }
}

TEST_F(BudgetTest, HiddenStatesSpillOverTheHostBudget) {
  const CalibrationBudget resident = Budget();
  recipe_.compute.host_memory = resident.hidden_bytes;
  EXPECT_FALSE(Budget().spill_hidden);
  recipe_.compute.host_memory = resident.hidden_bytes - 1;
  const CalibrationBudget spilled = Budget();
  EXPECT_TRUE(spilled.spill_hidden);
  EXPECT_LT(spilled.host_peak, resident.host_peak);

  // Then the host's peak does not depend on the number of samples.
  recipe_.calibration.data.samples *= 100;
  EXPECT_EQ(Budget().host_peak, spilled.host_peak);
}

TEST_F(BudgetTest, DefaultsLeaveRoomOnTheMachine) {
  recipe_.calibration.data.samples = 2000;
  const uint64_t hidden = Budget().hidden_bytes;
  const MachineMemory machine = {.host_available = 2 * hidden, .device_available = 2 * hidden};
  EXPECT_FALSE(Budget(machine).spill_hidden);
  EXPECT_LE(Budget(machine).host_peak, machine.host_available);
  const MachineMemory smaller = {.host_available = 2 * hidden - 2,
                                 .device_available = 2 * hidden - 2};
  EXPECT_TRUE(Budget(smaller).spill_hidden);
}

TEST_F(BudgetTest, OnCudaTheNextGroupWaitsOnTheHost) {
  recipe_.compute.device = "cuda";
  recipe_.calibration.batch_size = 1;
  const CalibrationBudget all = Budget();
  EXPECT_LT(all.host_peak, all.device_peak + all.hidden_bytes);
  // One byte less than all experts leaves room for seven, in two even groups of four.
  recipe_.compute.device_memory = all.device_peak - 1;
  const CalibrationBudget grouped = Budget();
  EXPECT_EQ(grouped.experts_per_group, 4);
  EXPECT_EQ(grouped.device_peak, all.device_peak - 4 * all.expert_bytes);
}

TEST_F(BudgetTest, BFloat16OnACpuNeedsRoomForACast) {
  const CalibrationBudget on_cpu = Budget();
  recipe_.compute.device = "cuda";
  // The largest linear layer is wq_b or wo_a: 65536 elements.
  EXPECT_EQ(on_cpu.batch_bytes - Budget().batch_bytes, 65536u * 4);
}

TEST_F(BudgetTest, ForecastGrowsWithWorkAndShrinksWithSpeed) {
  const Plan plan = MakePlan(source_, recipe_);
  const MachineSpeed speed;
  const TimeForecast base = ForecastTime(source_, recipe_, plan, speed);
  EXPECT_GT(base.calibrate_seconds, 0);

  Recipe more = recipe_;
  more.calibration.data.samples *= 100;
  EXPECT_GT(ForecastTime(source_, more, plan, speed).calibrate_seconds, base.calibrate_seconds);
  more = recipe_;
  more.calibration.all_experts = true;
  EXPECT_GT(
      ForecastTime(source_, more, plan, {.flops = 1e6, .bytes_per_second = 1e9}).calibrate_seconds,
      ForecastTime(source_, recipe_, plan, {.flops = 1e6, .bytes_per_second = 1e9})
          .calibrate_seconds);

  const double moved =
      static_cast<double>(source_.checkpoint.TensorBytes() + plan.OutputFileBytes());
  EXPECT_DOUBLE_EQ(base.validate_seconds, moved / speed.bytes_per_second);
  EXPECT_DOUBLE_EQ(base.export_seconds, moved / speed.bytes_per_second);
  EXPECT_EQ(
      ForecastTime(source_, recipe_, MakePlan(source_, RecipeOf({})), speed).calibrate_seconds, 0);
}

TEST_F(BudgetTest, ARunInProgressKeepsItsSizes) {
  const CalibrationBudget kept = PlanBudget(source_, recipe_, kAmple, LoopSizes{2, 64});
  EXPECT_EQ(kept.batch_size, 2);
  EXPECT_EQ(kept.query_chunk, 64);
  recipe_.compute.device_memory = kept.device_peak / 3;
  EXPECT_THAT(ErrorOf(ErrorCode::kBudgetTooSmall,
                      [&] {
                        PlanBudget(source_, recipe_, kAmple, LoopSizes{2, 64});
                      }),
              HasSubstr("a batch of 2"));
  recipe_.compute.device_memory = 0;
  recipe_.calibration.batch_size = 4;
  EXPECT_EQ(PlanBudget(source_, recipe_, kAmple, LoopSizes{2, 64}).batch_size, 4);
}

}  // namespace
}  // namespace vernier::recipes
