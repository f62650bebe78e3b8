// Kernels against memcpy. A shared machine's speed wanders, so that each repetition times the
// kernel and memcpy one right after the other, on buffers of the same size, and ratios are quoted.
#ifndef VERNIER_BENCH_MEMCPY_BASELINE_H_
#define VERNIER_BENCH_MEMCPY_BASELINE_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vernier::bench {

// Bytes that a kernel reads per repetition: past any cache, that of a large server included.
inline constexpr size_t kBufferBytes = size_t{512} << 20;

// What one kernel does with a slice [begin, end) of kBufferBytes: of its source or, for a kernel
// that expands, of its target. Slices begin and end at multiples of `grain` bytes.
struct Kernel {
  std::string name;
  size_t grain = 0;
  double written_per_read = 0;  // bytes written per byte read
  std::function<void(size_t begin, size_t end)> run;
  double read_per_byte = 1;  // bytes read per byte of the slice
};

// Registers "name/target/threads" for every SIMD target of this machine and one and two threads.
// Counters: read_GB/s is bytes read per second, memcpy_GB/s what memcpy read per second between the
// repetitions, vs_memcpy their ratio, and moved_vs_memcpy the ratio of bytes read plus written.
// `source` must outlive the run and have kBufferBytes bytes.
void RegisterAgainstMemcpy(const Kernel& kernel, std::span<const std::byte> source);

// kBufferBytes of BF16 weights, Gaussian with deviation 0.02, the same on every run.
std::vector<uint16_t> GaussianBf16();

}  // namespace vernier::bench

#endif  // VERNIER_BENCH_MEMCPY_BASELINE_H_
