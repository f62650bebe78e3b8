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
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

// What CUDA has of its own: the place of a thread, and arithmetic that rounds once.
namespace cuda_statistics {

struct Place {
  unsigned x = 0, y = 0;
};
Place blockIdx, blockDim, threadIdx;

float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
float __fadd_rn(float a, float b) { return a + b; }
double __dadd_rn(double a, double b) { return a + b; }
float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
int __float_as_int(float value) { return std::bit_cast<int>(value); }
void atomicMax(int* at, int value) { *at = std::max(*at, value); }

#define __device__ static
#define __global__
#include "calib/statistics_kernel.cu"
#undef __device__
#undef __global__

}  // namespace cuda_statistics

static_assert(MOST_RANGES == kLookRanges && COLUMNS_AT_ONCE == kLookColumns &&
              BLOCK_THREADS + COLUMNS_AT_ONCE == kLookThreads);

#undef BLOCK
#undef TRIANGLE

constexpr int64_t kWidth = 5 * 16;  // no multiple of what a block of threads takes
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

// Runs the kernel thread by thread, as DeviceStatistics launches it.
void Emulate(const at::Tensor& x, const DeviceStatistics::Targets& targets) {
  cuda_statistics::Ranges ranges = {};
  for (size_t i = 0; i < kRanges.size(); ++i) ranges.begin[i + 1] = ranges.begin[i] + kRanges[i];
  auto* amax = reinterpret_cast<int*>(targets.amax.data_ptr<float>());
  auto* channels = reinterpret_cast<int*>(targets.channel_amax.data_ptr<float>());
  auto* squares = targets.squares.data_ptr<double>();
  auto* triangles = targets.triangles.data_ptr<float>();
  using cuda_statistics::blockIdx, cuda_statistics::threadIdx;
  for (blockIdx.y = 0; blockIdx.y < kRanges.size(); ++blockIdx.y) {
    for (blockIdx.x = 0; blockIdx.x < 2; ++blockIdx.x) {
      for (threadIdx.x = 0; threadIdx.x < kLookThreads; ++threadIdx.x) {
        if (x.scalar_type() == at::kFloat) {
          cuda_statistics::look_at_f32(x.data_ptr<float>(), ranges, kWidth, amax, channels, squares,
                                       triangles);
        } else {
          const auto* values = static_cast<const unsigned short*>(x.data_ptr());
          cuda_statistics::look_at_bf16(values, ranges, kWidth, amax, channels, squares, triangles);
        }
      }
    }
  }
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
      Emulate(x, found);
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
  Emulate(x, found);
  EXPECT_TRUE(std::isnan(found.amax.item<float>()));
  EXPECT_TRUE(std::isnan(found.channel_amax[7].item<float>()));
  EXPECT_TRUE(std::isinf(found.channel_amax[9].item<float>()));
  EXPECT_TRUE(at::isfinite(found.triangles).all().item<bool>());
}

TEST(StatisticsKernel, PartsAreAddedInOrder) {
  const at::Tensor parts = at::tensor({1e8F, 1.0F, -1e8F, 1.0F}).view({4, 1});
  const at::Tensor sums = at::zeros({1});
  cuda_statistics::blockDim.x = 1;
  cuda_statistics::blockIdx.x = cuda_statistics::threadIdx.x = 0;
  cuda_statistics::add_parts_f32(sums.data_ptr<float>(), parts.data_ptr<float>(), 1, 4);
  EXPECT_EQ(sums.item<float>(), ((1e8F + 1.0F) + -1e8F) + 1.0F);
}

TEST(DeviceStatistics, AreTheCpusOnCuda) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const DeviceStatistics* device = DeviceStatistics::Find(at::Device(at::kCUDA, 0));
  ASSERT_NE(device, nullptr);
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
TEST(DeviceStatistics, TakeAnyNumberOfPartsOnCuda) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const at::Device cuda(at::kCUDA, 0);
  const std::vector<int64_t> ranges(150, 2);
  const at::Tensor x = at::randn({300, 24});
  const at::Tensor squares = at::zeros({150, 24}, at::dtype(at::kDouble).device(cuda));
  DeviceStatistics::Targets targets;
  targets.squares = squares;
  DeviceStatistics::Find(cuda)->Look(x.to(cuda), ranges, targets);
  EXPECT_TRUE(at::equal(squares.cpu(), x.to(at::kDouble).square().view({150, 2, 24}).sum(1)));
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

TEST(DeviceStatistics, OthersDoItWithoutCuda) {
  EXPECT_EQ(DeviceStatistics::Find(at::kCPU), nullptr);
}

}  // namespace
}  // namespace vernier::calib
