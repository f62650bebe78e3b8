#include "bench/memcpy_baseline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "quantizers/float_formats.h"
#include "quantizers/simd_targets.h"

namespace vernier::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Slice = std::function<void(size_t begin, size_t end)>;

// Seconds until every thread has done its share of kBufferBytes.
double TimeSlices(const Slice& run, size_t grain, int threads) {
  const size_t grains = kBufferBytes / grain;
  const auto bound = [&](int i) { return grains * static_cast<size_t>(i) / threads * grain; };
  const auto start = Clock::now();
  std::vector<std::jthread> workers;
  for (int i = 1; i < threads; ++i) {
    workers.emplace_back([&, i] { run(bound(i), bound(i + 1)); });
  }
  run(bound(0), bound(1));
  workers.clear();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

void Compare(benchmark::State& state, const Kernel& kernel, std::span<const std::byte> source,
             int64_t target, int threads) {
  const quantizers::ForcedSimdTarget forced(target);
  std::vector<std::byte> copy(kBufferBytes);
  const Slice copy_slice = [&](size_t begin, size_t end) {
    std::memcpy(copy.data() + begin, source.data() + begin, end - begin);
  };
  std::vector<double> seconds;
  std::vector<double> copy_seconds;
  for (auto _ : state) {
    seconds.push_back(TimeSlices(kernel.run, kernel.grain, threads));
    copy_seconds.push_back(TimeSlices(copy_slice, 64, threads));
    benchmark::ClobberMemory();
    state.SetIterationTime(seconds.back());
  }
  const double ratio = kernel.read_per_byte * Median(copy_seconds) / Median(seconds);
  state.counters["read_GB/s"] = kBufferBytes * kernel.read_per_byte / Median(seconds) * 1e-9;
  state.counters["memcpy_GB/s"] = kBufferBytes / Median(copy_seconds) * 1e-9;
  state.counters["vs_memcpy"] = ratio;
  state.counters["moved_vs_memcpy"] = ratio * (1 + kernel.written_per_read) / 2;
}

}  // namespace

void RegisterAgainstMemcpy(const Kernel& kernel, std::span<const std::byte> source) {
  for (const int64_t target : quantizers::SimdTargets()) {
    for (const int threads : {1, 2}) {
      const std::string name =
          kernel.name + "/" + quantizers::SimdTargetName(target) + "/" + std::to_string(threads);
      benchmark::RegisterBenchmark(
          name.c_str(),
          [=](benchmark::State& state) { Compare(state, kernel, source, target, threads); })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

std::vector<uint16_t> GaussianBf16() {
  // A megabyte of weights, repeated: drawing all of them takes longer than the benchmark.
  constexpr size_t kDrawn = 1 << 19;
  std::vector<uint16_t> weights(kBufferBytes / sizeof(uint16_t));
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = i < kDrawn ? quantizers::FloatToBf16(normal(random)) : weights[i - kDrawn];
  }
  return weights;
}

}  // namespace vernier::bench
