// The device's statistics kernels, as C++ on the CPU: bit for bit what quantizers/ makes. With a
// CUDA device also there.
#include "calib/device_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "calib/block_hessians.h"
#include "calib/recorder.h"
#include "calib/square_sums.h"
#include "tests/calib/cuda_on_cpu.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

namespace statistics_kernel {

using namespace cuda;
#include "calib/common_kernel.cu"
#include "calib/statistics_kernel.cu"

const KernelsOnCpu& OnCpu() {
  static const KernelsOnCpu kernels({{"look_at_bf16", {MakeKernel(look_at_bf16), /*waits=*/true}},
                                     {"look_at_f32", {MakeKernel(look_at_f32), /*waits=*/true}},
                                     {"add_parts_f32", {MakeKernel(add_parts_f32)}},
                                     {"add_parts_f64", {MakeKernel(add_parts_f64)}}});
  return kernels;
}

}  // namespace statistics_kernel

static_assert(MOST_RANGES == kLookRanges && COLUMNS_AT_ONCE == kLookColumns &&
              LOOK_THREADS == kLookThreads);

#undef BLOCK
#undef TRIANGLE

constexpr int64_t kWidth = 9 * 16;  // no multiple of what a block of threads takes
constexpr int64_t kTriangles = kWidth / 16 * 136;
constexpr std::array<int64_t, 3> kRanges = {37, 0, 20};
constexpr auto kParts = static_cast<int64_t>(kRanges.size());

at::Tensor SomeRows(at::ScalarType type) {
  at::manual_seed(5);
  return (at::randn({57, kWidth}) * at::randn({57, 1}).exp()).to(type);
}

DeviceStatistics::Targets Zeros(at::Device device) {
  const auto f32 = at::dtype(at::kFloat).device(device);
  return {.amax = at::zeros({1}, f32),
          .channel_amax = at::zeros({kWidth}, f32),
          .squares = at::zeros({kParts, kWidth}, f32.dtype(at::kDouble)),
          .triangles = at::zeros({kParts, kTriangles}, f32)};
}

// The same without the kernels.
void Add(const at::Tensor& x, const DeviceStatistics::Targets& targets) {
  int64_t begin = 0;
  for (int64_t i = 0; i < kParts; ++i) {
    const int64_t end = begin + kRanges[static_cast<size_t>(i)];
    const at::Tensor rows = x.slice(0, std::exchange(begin, end), end);
    if (rows.size(0) == 0) continue;
    AddSquares(rows, targets.squares[i]);
    AddBlockHessians(rows, targets.triangles[i]);
  }
  const at::Tensor magnitudes = x.to(at::kFloat).abs().amax(0);
  targets.channel_amax.copy_(at::maximum(targets.channel_amax, magnitudes));
  targets.amax.copy_(targets.channel_amax.max());
}

const DeviceStatistics& EmulatedStatistics() {
  static const DeviceStatistics statistics(statistics_kernel::OnCpu());
  return statistics;
}

void ExpectSame(const DeviceStatistics::Targets& found, const DeviceStatistics::Targets& expected) {
  EXPECT_TRUE(at::equal(found.amax.cpu(), expected.amax));
  EXPECT_TRUE(at::equal(found.channel_amax.cpu(), expected.channel_amax));
  EXPECT_TRUE(at::equal(found.squares.cpu(), expected.squares));
  EXPECT_TRUE(at::equal(found.triangles.cpu(), expected.triangles));
}

TEST(StatisticsKernel, AddsUpWhatTheCpuAddsUp) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = SomeRows(type);
    const auto found = Zeros(at::kCPU), expected = Zeros(at::kCPU);
    for (int i = 0; i < 2; ++i) {
      EmulatedStatistics().Look(x, kRanges, found);
      Add(x, expected);
    }
    ExpectSame(found, expected);
    EXPECT_GT(expected.triangles.abs().max().item<float>(), 0);
  }
}

TEST(StatisticsKernel, NanIsTheLargestAndSumsStayFinite) {
  at::Tensor x = SomeRows(at::kFloat);
  x[3][7] = std::numeric_limits<float>::quiet_NaN();
  x[4][9] = -std::numeric_limits<float>::infinity();
  x[5].fill_(3e38F);
  const auto found = Zeros(at::kCPU);
  EmulatedStatistics().Look(x, kRanges, found);
  EXPECT_TRUE(std::isnan(found.amax.item<float>()));
  EXPECT_TRUE(std::isnan(found.channel_amax[7].item<float>()));
  EXPECT_TRUE(std::isinf(found.channel_amax[9].item<float>()));
  EXPECT_TRUE(at::isfinite(found.triangles).all().item<bool>());
}

TEST(StatisticsKernel, PartsAreAddedInOrder) {
  const at::Tensor parts = at::tensor({1e8F, 1.0F, -1e8F, 1.0F}).view({4, 1});
  const at::Tensor sums = at::zeros({1});
  EmulatedStatistics().AddParts(parts, sums);
  EXPECT_EQ(sums.item<float>(), ((1e8F + 1.0F) + -1e8F) + 1.0F);
}

TEST(DeviceStatistics, AreTheCpusOnCuda) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const auto device = DeviceStatistics::Find(at::Device(at::kCUDA, 0));
  ASSERT_TRUE(device);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = SomeRows(type);
    const auto found = Zeros(at::Device(at::kCUDA, 0)), expected = Zeros(at::kCPU);
    for (int i = 0; i < 2; ++i) {
      device->Look(x.cuda(), kRanges, found);
      Add(x, expected);
    }
    ExpectSame(found, expected);
    const at::Tensor sums = at::ones({kTriangles}), on_device = sums.cuda();
    device->AddParts(found.triangles, on_device);
    for (int64_t i = 0; i < kParts; ++i) sums.add_(expected.triangles[i]);
    EXPECT_TRUE(at::equal(on_device.cpu(), sums));
  }
}

// More parts than one launch takes.
void ExpectAnyNumberOfParts(const DeviceStatistics& statistics, at::Device device) {
  const std::vector<int64_t> ranges(150, 2);
  const at::Tensor x = at::randn({300, 24});
  const at::Tensor squares = at::zeros({150, 24}, at::dtype(at::kDouble).device(device));
  DeviceStatistics::Targets targets;
  targets.squares = squares;
  statistics.Look(x.to(device), ranges, targets);
  EXPECT_TRUE(at::equal(squares.cpu(), x.to(at::kDouble).square().view({150, 2, 24}).sum(1)));
}

// Rows that begin where fours may not be loaded, and columns that have none.
TEST(StatisticsKernel, TakesRowsFromAnyPlace) {
  for (const int64_t columns : {28, 30}) {
    const at::Tensor x = at::randn({7 * columns + 1}).slice(0, 1).view({7, columns});
    DeviceStatistics::Targets targets;
    targets.channel_amax = at::zeros({columns});
    EmulatedStatistics().Look(x, std::array<int64_t, 1>{7}, targets);
    EXPECT_TRUE(at::equal(targets.channel_amax, x.abs().amax(0)));
  }
}

TEST(StatisticsKernel, TakesAnyNumberOfParts) {
  ExpectAnyNumberOfParts(EmulatedStatistics(), at::kCPU);
}

TEST(DeviceStatistics, TakeAnyNumberOfPartsOnCuda) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const at::Device cuda(at::kCUDA, 0);
  ExpectAnyNumberOfParts(DeviceStatistics::Find(cuda).value(), cuda);
}

// Everything that a recorder keeps of one sequence and of an expert's rows, however they are cut,
// but what is a product of matrices.
TEST(DeviceStatistics, RecordersKeepTheSameOnCuda) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const at::Tensor x = SomeRows(at::kBFloat16);
  const auto rows_of = [&](at::Device device, int64_t cut) {
    const std::vector<std::string> names = {"dense", "expert", "kv"};
    Recorder recorder(names);
    for (const at::Tensor& part : x.to(device).split(cut)) {
      const std::vector<int64_t> sequence = {part.size(0)};
      recorder.Observe({.module = "dense", .weight = part, .sequences = sequence}, part);
      ShowInput(recorder, "expert", part);
      recorder.ObserveCache("kv", part);
    }
    recorder.EndBatch();
    std::vector<run::StatisticRow> rows = recorder.Rows(0);
    std::erase_if(rows, [](const run::StatisticRow& row) {
      return row.name == statistics::InputHessian::kName;
    });
    return rows;
  };
  const std::vector<run::StatisticRow> expected = rows_of(at::kCPU, x.size(0));
  EXPECT_EQ(expected.size(), 11U);
  for (const int64_t cut : {57, 20}) {
    const std::vector<run::StatisticRow> found = rows_of(at::Device(at::kCUDA, 0), cut);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].bytes, expected[i].bytes) << found[i].module << " " << found[i].name;
    }
  }
}

TEST(DeviceStatistics, OthersDoItWithoutCuda) { EXPECT_FALSE(DeviceStatistics::Find(at::kCPU)); }

}  // namespace
}  // namespace vernier::calib
