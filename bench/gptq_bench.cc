// NVFP4 by GPTQ on BF16 weights, against the processor's peak of fused multiply-adds.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/nvfp4_gptq.h"
#include "quantizers/simd_targets.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/gptq_bench.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// `rounds` multiply-adds in each lane of as many vectors as it takes to hide their latency; returns
// how many that were.
double MultiplyAdd(size_t rounds, float* result) {
  constexpr size_t kChains = 12;
  const hn::ScalableTag<float> tag;
  const auto factor = hn::Set(tag, 0.5f);
  decltype(hn::Zero(tag)) sums[kChains];
#pragma GCC unroll 12
  for (size_t c = 0; c < kChains; ++c) sums[c] = hn::Set(tag, static_cast<float>(c));
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (size_t c = 0; c < kChains; ++c) sums[c] = hn::MulAdd(sums[c], factor, factor);
  }
  auto sum = sums[0];
#pragma GCC unroll 12
  for (size_t c = 1; c < kChains; ++c) sum = hn::Add(sum, sums[c]);
  *result = hn::GetLane(sum);
  return static_cast<double>(rounds * kChains * hn::Lanes(tag));
}

}  // namespace vernier::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::bench {
namespace {

HWY_EXPORT(MultiplyAdd);

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double MedianOf(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Multiply-adds per second.
double MeasurePeak() {
  constexpr size_t kRounds = size_t{1} << 20;
  float result = 0;
  const auto start = Clock::now();
  const double done = HWY_DYNAMIC_DISPATCH(MultiplyAdd)(kRounds, &result);
  benchmark::DoNotOptimize(result);
  return done / SecondsSince(start);
}

// Multiply-adds that GPTQ cannot do without: each position's update of all behind it, and for each
// candidate the same within a block, with the costs.
double FloorOf(double rows, double columns) {
  constexpr double kCandidates =
      quantizers::kGptqCodesBelowRule + 1 + quantizers::kGptqCodesAboveRule;
  constexpr double kPerBlock = 136;
  return rows * columns * columns / 2 + kCandidates * kPerBlock * rows * columns / 16;
}

struct GptqLayer {
  GptqLayer(size_t row_count, size_t column_count)
      : rows(row_count),
        columns(column_count),
        weights(rows * columns),
        order(columns),
        factor(columns * columns),
        packed(weights.size() / 2),
        scales(weights.size() / 16) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    for (uint16_t& weight : weights) weight = quantizers::FloatToBf16(normal(random));
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = 0; i < columns; ++i) {
      factor[i * columns + i] = 1.0f;
      for (size_t j = i + 1; j < columns; ++j) {
        factor[i * columns + j] = -0.4f / static_cast<float>((j - i) * (j - i));
      }
    }
  }

  void Quantize() {
    constexpr float kGlobalScale = 5 * 0.02f / (6 * 256);
    quantizers::QuantizeNvfp4Gptq(std::span<const uint16_t>(weights), static_cast<int64_t>(columns),
                                  {kGlobalScale, order, factor}, packed, scales);
  }

  size_t rows;
  size_t columns;
  std::vector<uint16_t> weights;
  std::vector<int32_t> order;
  std::vector<float> factor;
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
};

// Counters: peak_Gfma/s is measured before each repetition, vs_floor how many times as long it
// takes as its floor of multiply-adds at that peak.
void CompareWithPeak(benchmark::State& state, size_t rows, size_t columns, int64_t target) {
  const quantizers::ForcedSimdTarget forced(target);
  GptqLayer layer(rows, columns);
  std::vector<double> peaks;
  std::vector<double> ratios;
  for (auto _ : state) {
    peaks.push_back(MeasurePeak());
    const auto start = Clock::now();
    layer.Quantize();
    const double seconds = SecondsSince(start);
    const auto r = static_cast<double>(rows), c = static_cast<double>(columns);
    ratios.push_back(seconds * peaks.back() / FloorOf(r, c));
    state.SetIterationTime(seconds);
  }
  state.counters["peak_Gfma/s"] = MedianOf(peaks) * 1e-9;
  state.counters["vs_floor"] = MedianOf(ratios);
}

void RegisterGptq(size_t rows, size_t columns) {
  for (const int64_t target : quantizers::SimdTargets()) {
    const std::string name = "gptq/" + std::to_string(rows) + "x" + std::to_string(columns) + "/" +
                             quantizers::SimdTargetName(target);
    if (quantizers::SimdTargetName(target) == "SCALAR") continue;
    benchmark::RegisterBenchmark(
        name.c_str(),
        [=](benchmark::State& state) { CompareWithPeak(state, rows, columns, target); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace vernier::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  vernier::bench::RegisterGptq(256, 2048);
  vernier::bench::RegisterGptq(64, 2048);
  vernier::bench::RegisterGptq(256, 576);
  vernier::bench::RegisterGptq(256, 7168);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
#endif  // HWY_ONCE
