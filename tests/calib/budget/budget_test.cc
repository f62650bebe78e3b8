#include "calib/budget/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "calib/budget/forecast.h"
#include "calib/budget/gathering.h"
#include "calib/budget/loop_constants.h"
#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/hf_family.h"
#include "checkpoint/read_speed.h"
#include "recipes/plan.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_tree.h"
#include "tests/support/stacked_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr MachineMemory kAmple = {.host_available = 64 * kGiB, .device_available = 64 * kGiB};

class BudgetTest : public ::testing::Test {
 protected:
  CalibrationBudget Budget(const MachineMemory& machine = kAmple,
                           const std::optional<run::LoopSizes>& kept = {}) const {
    return PlanBudget(source_, compute_, workload_, machine, kept);
  }

  // The least device memory with which the budget is as `is_so` says: not so with a byte less.
  uint64_t LeastMemory(const std::function<bool(const CalibrationBudget&)>& is_so) {
    uint64_t too_little = 0, enough = kGiB;
    while (enough - too_little > 1) {
      ComputeSpec compute = compute_;
      const uint64_t tried = too_little + (enough - too_little) / 2;
      compute.device_memory = tried;
      (IsSo(compute, is_so) ? enough : too_little) = tried;
    }
    return enough;
  }
  bool IsSo(const ComputeSpec& compute,
            const std::function<bool(const CalibrationBudget&)>& is_so) const {
    try {
      return is_so(PlanBudget(source_, compute, workload_, kAmple));
    } catch (const Error&) {
      return false;
    }
  }

  // 5 layers of 8 experts.
  checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(
      std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-deepseek-v4");
  ComputeSpec compute_;
  Workload workload_ = {.samples = 32, .sequence_length = 128};
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
  compute_.dtype = recipes::ComputeDtype::kFloat32;
  EXPECT_EQ(Budget().expert_bytes, 2 * budget.expert_bytes);
  EXPECT_EQ(Budget().checkpoint_bytes, 2 * budget.checkpoint_bytes);
}

// Blocks of one model may differ; what does not fit beside one of them does not fit.
TEST(BudgetOfBlocks, IsThatOfTheLargestLayer) {
  checkpoint::SourceModel source =
      checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-llama");
  const checkpoint::DecoderConfig plain = *source.family->Decoder();
  ASSERT_GT(plain.layers(), 1);
  const auto batch_bytes = [&](const checkpoint::DecoderConfig& config) {
    source.family = checkpoint::MakeHfFamily("mixed", config);
    return PlanBudget(source, {.batch_size = 1}, {.samples = 1, .sequence_length = 4096}, kAmple)
        .batch_bytes;
  };
  checkpoint::DecoderConfig one = plain, all = plain;
  one.blocks.back().ffn.width *= 64;
  for (checkpoint::DecoderBlock& block : all.blocks) block.ffn.width *= 64;
  EXPECT_EQ(batch_bytes(one), batch_bytes(all));
  EXPECT_GT(batch_bytes(one), batch_bytes(plain));

  one = all = plain;
  one.blocks.back().attention.heads *= 16;
  for (checkpoint::DecoderBlock& block : all.blocks) block.attention.heads *= 16;
  EXPECT_EQ(batch_bytes(one), batch_bytes(all));
  EXPECT_GT(batch_bytes(one), batch_bytes(plain));

  checkpoint::DecoderConfig windows = all, one_sees_all = all;
  for (checkpoint::DecoderBlock& block : windows.blocks) block.attention.window = 16;
  one_sees_all.blocks.front().attention.window = 16;
  EXPECT_EQ(batch_bytes(one_sees_all), batch_bytes(all));
  EXPECT_LT(batch_bytes(windows), batch_bytes(all));
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
    compute_.device_memory = memory;
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
  compute_.batch_size = 1;
  workload_.sequence_length = 32;
  const uint64_t all =
      LeastMemory([](const auto& budget) { return budget.experts_per_group == 8; });
  const uint64_t expert = Budget().expert_bytes;
  int64_t previous = 8;
  for (uint64_t missing = 1; missing <= 3; ++missing) {
    compute_.device_memory = all - missing * expert;
    const CalibrationBudget budget = Budget();
    EXPECT_LE(budget.experts_per_group, previous);
    EXPECT_LE(budget.device_peak, compute_.device_memory.bytes);
    previous = budget.experts_per_group;
  }
  EXPECT_EQ(previous, 2);
  // The next group is read meanwhile: room for 7 is room for two groups of 3.
  compute_.device_memory = all - 1;
  EXPECT_EQ(Budget().experts_per_group, 3);
}

TEST_F(BudgetTest, QueryChunksShrinkBeforeTheBudgetFails) {
  workload_ = {.samples = 1, .sequence_length = 1024};
  compute_.batch_size = 1;
  compute_.device_memory =
      LeastMemory([](const auto& budget) { return budget.query_chunk == 256; }) - 1;
  EXPECT_LT(Budget().query_chunk, 256);
}

// While routed experts run, the temporaries of the dense stage are gone.
TEST_F(BudgetTest, ThePeakIsThatOfTheLargerStage) {
  workload_.samples = 8;
  workload_.sequence_length = 32;
  const CalibrationBudget few = Budget();
  workload_.sequence_length = 1024;
  const CalibrationBudget many = Budget();
  EXPECT_GE(few.device_peak, few.dense_layer_bytes + 8 * few.expert_bytes);
  EXPECT_LT(few.device_peak, few.dense_layer_bytes + few.batch_bytes + 8 * few.expert_bytes);
  constexpr uint64_t kStatistics = 640 << 10;  // at most, of a layer
  EXPECT_GE(many.device_peak, many.dense_layer_bytes + many.batch_bytes);
  EXPECT_LE(many.device_peak, many.dense_layer_bytes + many.batch_bytes + kStatistics);
}

// A device must have room for an expert that gets every token; the forecast does not expect one.
TEST_F(BudgetTest, MemoryIsKeptForTheWorstRouting) {
  compute_.batch_size = 1;
  workload_.sequence_length = 512;
  const auto has_all = [](const auto& budget) { return budget.experts_per_group == 8; };
  const uint64_t usual = LeastMemory(has_all);
  workload_.all_experts = true;
  EXPECT_EQ(LeastMemory(has_all), usual) << "then every expert gets every token";
}

TEST_F(BudgetTest, TooLittleIsAnErrorWithTheSizes) {
  compute_.device_memory = kMiB;
  EXPECT_VERNIER_ERROR(Budget(), ErrorCode::kBudgetTooSmall,
                       "1.00 MiB are there, and the smallest working set needs");
}

TEST_F(BudgetTest, ASharesBytesAreThoseOfWhatIsFree) {
  const MachineMemory machine = {.host_available = 8 * kGiB, .device_available = 2 * kGiB};
  const uint64_t hidden = Budget(machine).hidden_bytes;
  EXPECT_EQ(Budget(machine).device_limit,
            static_cast<uint64_t>(static_cast<double>(8 * kGiB - hidden) * 0.8));
  compute_.device_memory = MemoryBound::Share(25);
  EXPECT_EQ(Budget(machine).device_limit, (8 * kGiB - hidden) / 4);
  compute_.device = "cuda:0";
  EXPECT_EQ(Budget(machine).device_limit, kGiB / 2);
  compute_.device = "cpu";
  workload_.samples = 100'000;
  EXPECT_FALSE(Budget(kAmple).spill_hidden);
  compute_.host_memory = MemoryBound::Share(1);
  EXPECT_TRUE(Budget(kAmple).spill_hidden);
}

TEST_F(BudgetTest, ABatchOfTheRecipeIsUsedButNotMoreThanTheSamples) {
  compute_.batch_size = 5;
  EXPECT_EQ(Budget().batch_size, 5);
  workload_.samples = 3;
  EXPECT_EQ(Budget().batch_size, 3);
  compute_.batch_size = 0;
  EXPECT_EQ(Budget().batch_size, 2);
}

TEST_F(BudgetTest, SizesGrowWithSamples) {
  CalibrationBudget previous;
  for (int64_t samples = 1; samples <= 4096; samples *= 4) {
    workload_.samples = samples;
    const CalibrationBudget budget = Budget();
    EXPECT_GT(budget.hidden_bytes, previous.hidden_bytes);
    EXPECT_GT(budget.checkpoint_bytes, previous.checkpoint_bytes);
    EXPECT_GE(budget.host_peak, previous.host_peak);
    previous = budget;
  }
}

TEST_F(BudgetTest, HiddenStatesSpillOverTheHostBudget) {
  workload_.samples = SamplesPerChunk(8, workload_.sequence_length);
  const CalibrationBudget resident = Budget();
  compute_.host_memory = resident.hidden_bytes;
  EXPECT_FALSE(Budget().spill_hidden);
  compute_.host_memory = resident.hidden_bytes - 1;
  const CalibrationBudget spilled = Budget();
  EXPECT_TRUE(spilled.spill_hidden);
  EXPECT_LT(spilled.host_peak, resident.host_peak);

  // Then the host's peak does not depend on the number of samples.
  workload_.samples *= 100;
  EXPECT_EQ(Budget().host_peak, spilled.host_peak);
}

TEST_F(BudgetTest, DefaultsLeaveRoomOnTheMachine) {
  workload_.samples = 2000;
  const uint64_t hidden = Budget().hidden_bytes;
  const MachineMemory machine = {.host_available = 2 * hidden, .device_available = 2 * hidden};
  EXPECT_FALSE(Budget(machine).spill_hidden);
  EXPECT_LE(Budget(machine).host_peak, machine.host_available);
  const MachineMemory smaller = {.host_available = 2 * hidden - 2,
                                 .device_available = 2 * hidden - 2};
  EXPECT_TRUE(Budget(smaller).spill_hidden);
}

// Weights wait in a ring, whatever the model, and experts come one by one.
TEST_F(BudgetTest, OnCudaHiddenStatesAreOnTheDeviceIfTheyFit) {
  compute_.device = "cuda";
  const auto on_device = [](const auto& budget) { return budget.hidden_on_device; };
  const CalibrationBudget ample = Budget();
  EXPECT_TRUE(on_device(ample));
  EXPECT_EQ(ample.host_peak, WeightRingBytes(source_));
  EXPECT_EQ(ample.experts_per_group, 8);

  const uint64_t least = LeastMemory(on_device);
  compute_.device_memory = least;
  const int64_t batch = Budget().batch_size;
  compute_.device_memory = least - 1;
  const CalibrationBudget less = Budget();
  EXPECT_FALSE(less.spill_hidden);
  EXPECT_EQ(less.host_peak, WeightRingBytes(source_) + less.hidden_bytes);
  EXPECT_LT(less.device_peak, least - less.hidden_bytes);
  EXPECT_EQ(less.batch_size, batch) << "where hidden states lie changes no product";

  compute_.host_memory = 1;
  EXPECT_TRUE(Budget().spill_hidden);
  compute_.device_memory = least;
  workload_.held_bytes = 1;
  EXPECT_FALSE(on_device(Budget())) << "somebody holds a byte of it";
  workload_.held_bytes = 0;
  EXPECT_FALSE(Budget().spill_hidden) << "they are on the device";
}

TEST_F(BudgetTest, BFloat16OnACpuNeedsRoomForACast) {
  const run::LoopSizes sizes = {.batch_size = 8, .query_chunk = 256};
  const CalibrationBudget on_cpu = Budget(kAmple, sizes);
  compute_.cpu_products = recipes::CpuProducts::kBf16;
  // The largest linear layer is wq_b or wo_a: 65536 elements.
  EXPECT_EQ(on_cpu.batch_bytes - Budget(kAmple, sizes).batch_bytes, 65536u * 4);
}

// An evaluation holds the reference's hidden states beside those of the model that runs.
TEST_F(BudgetTest, WhatOthersHoldComesOffTheHost) {
  const CalibrationBudget alone = Budget();
  compute_.host_memory = 2 * alone.hidden_bytes;
  workload_.held_bytes = alone.hidden_bytes;
  EXPECT_FALSE(Budget().spill_hidden);
  workload_.held_bytes += 1;
  EXPECT_TRUE(Budget().spill_hidden);
  workload_.held_bytes = 4 * alone.hidden_bytes;
  EXPECT_TRUE(Budget().spill_hidden) << "more is held than is allowed";

  // Weights and batches get a share of what is left.
  workload_.held_bytes = kAmple.host_available - kMiB;
  EXPECT_VERNIER_ERROR(Budget(), ErrorCode::kBudgetTooSmall, "819.20 KiB are there");
}

// A layer test holds two checkpoints and four times the hidden states.
TEST_F(BudgetTest, CopiesShareTheMemory) {
  const CalibrationBudget one = Budget();
  workload_.hidden_copies = 4;
  compute_.host_memory = 4 * one.hidden_bytes;
  EXPECT_FALSE(Budget().spill_hidden);
  compute_.host_memory.bytes -= 1;
  EXPECT_TRUE(Budget().spill_hidden);

  compute_ = {.batch_size = 1};
  workload_ = {.samples = 32, .sequence_length = 32};
  const uint64_t peak = Budget().device_peak;
  const auto has_all = [](const auto& budget) { return budget.experts_per_group == 8; };
  const uint64_t least = LeastMemory(has_all);
  workload_.model_copies = 2;
  EXPECT_EQ(LeastMemory(has_all), 2 * least);
  EXPECT_EQ(Budget().device_peak, 2 * peak);
}

TEST_F(BudgetTest, ForecastGrowsWithWorkAndShrinksWithSpeed) {
  recipes::Recipe recipe;
  recipe.rules = {{.roles = {checkpoint::Role::kRoutedExpert},
                   .name_glob = {},
                   .format = checkpoint::formats::kNvfp4}};
  const recipes::Plan plan = recipes::MakePlan(source_, recipe);
  const MachineSpeed usual = UsualSpeed("cpu", 2);
  const auto forecast = [&](const Workload& workload, const MachineSpeed& speed) {
    return ForecastTime(source_, workload, plan, speed);
  };
  const TimeForecast base = forecast(workload_, usual);
  EXPECT_GT(base.calibrate_seconds, 0);

  Workload more = workload_;
  more.samples *= 100;
  EXPECT_GT(forecast(more, usual).calibrate_seconds, base.calibrate_seconds);
  EXPECT_LT(forecast(more, UsualSpeed("cpu", 4)).calibrate_seconds,
            forecast(more, usual).calibrate_seconds);
  more = workload_;
  more.all_experts = true;
  MachineSpeed slow = usual;
  slow.compute = {.dense_flops = 1e6, .expert_flops = 1e6};
  EXPECT_GT(forecast(more, slow).calibrate_seconds, forecast(workload_, slow).calibrate_seconds);
  // Each part at its own speed.
  const TokenFlops token = ForwardFlops(source_, workload_);
  slow.compute.expert_flops = 2e6;
  EXPECT_DOUBLE_EQ(forecast(workload_, slow).calibrate_seconds,
                   static_cast<double>(workload_.samples * workload_.sequence_length) *
                       (token.dense / 1e6 + token.experts / 2e6));

  const double moved =
      static_cast<double>(source_.checkpoint.TensorBytes() + plan.OutputFileBytes());
  EXPECT_DOUBLE_EQ(base.validate_seconds, moved / usual.bytes_per_second);
  EXPECT_DOUBLE_EQ(base.export_seconds, moved / usual.bytes_per_second);
  more.samples *= 10'000;
  EXPECT_LT(forecast(more, UsualSpeed("cuda:0", 2)).calibrate_seconds,
            forecast(more, usual).calibrate_seconds);
  const recipes::Plan nothing = recipes::MakePlan(source_, recipes::Recipe());
  EXPECT_EQ(ForecastTime(source_, workload_, nothing, usual).calibrate_seconds, 0);
}

TEST_F(BudgetTest, ForecastKnowsWhatIsReadAlreadyAndThatADeviceStarts) {
  recipes::Recipe recipe;
  recipe.rules = {{.roles = {checkpoint::Role::kRoutedExpert},
                   .name_glob = {},
                   .format = checkpoint::formats::kNvfp4}};
  const recipes::Plan plan = recipes::MakePlan(source_, recipe);
  MachineSpeed speed = {.compute = {.dense_flops = 1e18, .expert_flops = 1e18},
                        .bytes_per_second = 1e6};
  const auto forecast = [&] { return ForecastTime(source_, workload_, plan, speed); };
  const TimeForecast from_disk = forecast();
  speed.cached_share = 1;
  const TimeForecast from_memory = forecast();
  EXPECT_LT(from_memory.calibrate_seconds, from_disk.calibrate_seconds / 100);
  EXPECT_NEAR(from_memory.export_seconds, static_cast<double>(plan.OutputFileBytes()) / 1e6,
              from_disk.export_seconds / 100);
  speed.start_seconds = 3;
  EXPECT_GT(forecast().calibrate_seconds, from_memory.calibrate_seconds + 3);
  EXPECT_LT(forecast().calibrate_seconds, from_memory.calibrate_seconds + 4);
}

TEST_F(BudgetTest, UsualSpeedsKnowThePageCache) {
  const MachineSpeed speed = UsualSpeed(source_, "cuda", 4), of_any = UsualSpeed("cuda", 4);
  EXPECT_EQ(speed.cached_share, checkpoint::CachedShare(source_.checkpoint));
  EXPECT_EQ(of_any.cached_share, 0);
  EXPECT_EQ(speed.compute.dense_flops, of_any.compute.dense_flops);
}

TEST_F(BudgetTest, ForecastCountsSearchesByWhatDoesThem) {
  recipes::Recipe recipe;
  recipe.rules = {{.roles = {checkpoint::Role::kRoutedExpert},
                   .name_glob = {},
                   .format = checkpoint::formats::kNvfp4}};
  const recipes::Plan plan = recipes::MakePlan(source_, recipe);
  MachineSpeed speed = {.compute = {.dense_flops = 1e18, .expert_flops = 1e18},
                        .bytes_per_second = 1e18};
  workload_.solving.search_flops = 1e13;
  workload_.solving.solve_flops = 1e14;
  speed.compute.search_flops = 1e12;
  speed.compute.solve_flops = 1e13;
  const auto seconds = [&] {
    return ForecastTime(source_, workload_, plan, speed).calibrate_seconds;
  };
  EXPECT_NEAR(seconds(), 10 + 10, 0.1);
  speed.compute.search_flops = 0;  // the CPU
  EXPECT_GT(seconds(), 20);
}

TEST_F(BudgetTest, ARunInProgressKeepsItsSizes) {
  const run::LoopSizes sizes = {.batch_size = 2, .query_chunk = 64};
  const CalibrationBudget kept = Budget(kAmple, sizes);
  EXPECT_EQ(kept.batch_size, 2);
  EXPECT_EQ(kept.query_chunk, 64);
  compute_.device_memory = kept.device_peak / 3;
  EXPECT_VERNIER_ERROR(Budget(kAmple, sizes), ErrorCode::kBudgetTooSmall, "a batch of 2");
  compute_.device_memory = 0;
  compute_.batch_size = 4;
  EXPECT_EQ(Budget(kAmple, sizes).batch_size, 4);
}

// But on a GPU a large batch may become a smaller one that computes the same.
TEST_F(BudgetTest, ALargeBatchOnADeviceShrinksToEight) {
  compute_.device = "cuda";
  const run::LoopSizes sizes = {.batch_size = 32, .query_chunk = 64};
  const auto least_of = [&](int64_t batch) {
    compute_.batch_size = batch;
    const uint64_t least = LeastMemory([](const auto&) { return true; });
    compute_.batch_size = 0;
    return least;
  };
  const uint64_t of_32 = least_of(32), of_8 = least_of(8);
  compute_.device_memory = of_32;
  EXPECT_EQ(Budget(kAmple, sizes).batch_size, 32);
  compute_.device_memory = of_32 - 1;
  EXPECT_EQ(Budget(kAmple, sizes).batch_size, 16);
  compute_.device_memory = of_8;
  EXPECT_EQ(Budget(kAmple, sizes).batch_size, 8);
  compute_.device_memory = of_8 - 1;
  EXPECT_VERNIER_ERROR(Budget(kAmple, sizes), ErrorCode::kBudgetTooSmall, "a batch of 8");
  for (const int64_t length : {1, 100, 128, 512, 2048, 4096, 8192, 100'000}) {
    for (const int64_t batch : {9, 12, 16, 32}) {
      EXPECT_EQ(SamplesPerChunk(batch, length), SamplesPerChunk(8, length)) << length;
    }
  }
}

TEST_F(BudgetTest, OtherBatchesAreKeptAsTheyAre) {
  EXPECT_EQ(Budget(kAmple, run::LoopSizes{.batch_size = 16, .query_chunk = 64}).batch_size, 16);
  compute_.device = "cuda";
  const run::LoopSizes twelve = {.batch_size = 12, .query_chunk = 64};
  compute_.batch_size = 12;
  const uint64_t least = LeastMemory([](const auto&) { return true; });
  compute_.batch_size = 0;
  compute_.device_memory = least;
  EXPECT_EQ(Budget(kAmple, twelve).batch_size, 12);
  compute_.device_memory = least - 1;
  EXPECT_VERNIER_ERROR(Budget(kAmple, twelve), ErrorCode::kBudgetTooSmall, "a batch of 12");
}

// A transposed stack is read an expert's slab at a time, by as many threads as there are experts.
// Of so few tokens the routed experts are what takes most memory.
TEST(BudgetOfStacks, CountsTheSlabsThatAreRead) {
  const testing::TempDir dir;
  const auto source = [&](const testing::StackForm& form) {
    testing::StackExperts(testing::kTestModels / "tiny-qwen3-moe", dir.path() / form.Name(), form);
    return testing::OpenStacked(dir.path() / form.Name(), form);
  };
  const auto peak = [](const checkpoint::SourceModel& model, ComputeSpec compute) {
    return PlanBudget(model, compute, {.samples = 1, .sequence_length = 8}, kAmple).host_peak;
  };
  const checkpoint::SourceModel together = source({}), turns = source({.interleaved = true}),
                                lying = source({.transposed = true});
  // gate_up_proj [2 * 64, 128] in BF16, and one half of it.
  constexpr uint64_t kSlab = 2 * 64 * 128 * 2, kRead = kSlab + kSlab / 2;
  EXPECT_EQ(GatheringBytes(together), 0u);
  EXPECT_EQ(GatheringBytes(turns), 0u);
  EXPECT_EQ(GatheringBytes(lying), kRead);
  const auto more = [&](const ComputeSpec& compute) {
    return peak(lying, compute) - peak(together, compute);
  };
  ComputeSpec compute = {.threads = 1};
  EXPECT_EQ(more(compute), kRead);
  compute.threads = 3;
  EXPECT_EQ(more(compute), 3 * kRead);
  compute.threads = 64;
  EXPECT_EQ(more(compute), 8 * kRead) << "no more than there are experts";
  EXPECT_EQ(more({.device = "cuda"}), kRead + 3u * 64 * 128 * 2);
}

TEST(WorkloadTest, IsTheRecipes) {
  recipes::Recipe recipe;
  recipe.calibration = {
      .data = {}, .dtype = recipes::ComputeDtype::kFloat32, .batch_size = 3, .all_experts = true};
  recipe.calibration.data.samples = 5;
  recipe.calibration.data.sequence_length = 7;
  recipe.compute = {.device = "cuda:1", .device_memory = 11, .host_memory = 13, .threads = 17};
  const ComputeSpec compute = ComputeOf(recipe);
  EXPECT_EQ(compute.device, "cuda:1");
  EXPECT_EQ(compute.dtype, recipes::ComputeDtype::kFloat32);
  EXPECT_EQ(compute.batch_size, 3);
  EXPECT_EQ(compute.device_memory.bytes, 11u);
  EXPECT_EQ(compute.host_memory.bytes, 13u);
  EXPECT_EQ(compute.threads, 17);
  const Workload workload = WorkloadOf(recipe, {}, {});
  EXPECT_EQ(workload.samples, 5);
  EXPECT_EQ(workload.sequence_length, 7);
  EXPECT_TRUE(workload.all_experts);
  EXPECT_EQ(workload.held_bytes, 0u);
}

TEST_F(BudgetTest, AnotherAttemptHasWhatIsFreeAndLessThanWasTooMuch) {
  const CalibrationBudget failed = {.device_limit = 8 * kGiB};
  EXPECT_EQ(LessDeviceMemory(failed, {.device_available = 2 * kGiB}),
            MemoryBound().Of(2 * kGiB, 80));
  EXPECT_EQ(LessDeviceMemory(failed, {.device_available = 64 * kGiB}), MemoryBound(6 * kGiB));
  // No bytes would be a bound of nothing said.
  EXPECT_EQ(LessDeviceMemory(failed, {.device_available = 0}), MemoryBound(1));
}

}  // namespace
}  // namespace vernier::calib
