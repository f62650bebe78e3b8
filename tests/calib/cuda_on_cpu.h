// What CUDA C has of its own, for tests that compile kernels as C++: the place of a thread,
// arithmetic that rounds once, and blocks whose threads wait for each other.
#ifndef VERNIER_TESTS_CALIB_CUDA_ON_CPU_H_
#define VERNIER_TESTS_CALIB_CUDA_ON_CPU_H_

#include <atomic>
#include <barrier>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "calib/device_kernels.h"

// Kernels are included within a namespace that uses vernier::calib::cuda.
#define __device__ [[maybe_unused]]
#define __global__
#define __launch_bounds__(...)
#define __shared__ static

namespace vernier::calib::cuda {

struct Place {
  unsigned x = 0, y = 0;
};
inline thread_local Place blockIdx, blockDim, threadIdx;

inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline void atomicMax(int* at, int value) {
  std::atomic_ref<int> shared(*at);
  for (int now = shared; value > now && !shared.compare_exchange_weak(now, value);) continue;
}

inline thread_local std::barrier<>* threads_of_block = nullptr;
inline void __syncthreads() { threads_of_block->arrive_and_wait(); }

// A kernel as it is launched: `arguments` are the addresses of each.
using Kernel = std::function<void(void* const* arguments)>;

template <class... Arguments>
Kernel MakeKernel(void (*kernel)(Arguments...)) {
  return [kernel](void* const* arguments) {
    const auto take = [&arguments]<class T>(T* value) {
      std::memcpy(value, *arguments++, sizeof(T));
    };
    std::tuple<std::remove_const_t<Arguments>...> values;
    std::apply([&](auto&... value) { (take(&value), ...); }, values);
    std::apply(kernel, values);
  };
}

// Compiled kernels by name, as those of a device. Threads of a block run at once if they wait for
// each other, otherwise one after the other, and so do blocks.
class KernelsOnCpu final : public DeviceKernels {
 public:
  struct Known {
    Kernel kernel;
    bool waits = false;
  };
  explicit KernelsOnCpu(std::map<std::string, Known> known) : known_(std::move(known)) {}

  void Launch(const char* name, Grid grid, std::vector<void*> arguments) const override {
    const Known& known = known_.at(name);
    std::barrier<> barrier(grid.threads);
    const auto run = [&](unsigned thread) {
      threads_of_block = &barrier;
      blockDim = {.x = grid.threads};
      for (unsigned y = 0; y < grid.y; ++y) {
        for (unsigned x = 0; x < grid.x; ++x) {
          blockIdx = {.x = x, .y = y};
          threadIdx = {.x = thread};
          known.kernel(arguments.data());
          if (known.waits) __syncthreads();  // what a block shares is the next one's
        }
      }
    };
    std::vector<std::jthread> running;
    for (unsigned thread = 0; thread < grid.threads; ++thread) {
      if (known.waits) {
        running.emplace_back(run, thread);
      } else {
        run(thread);
      }
    }
  }

 private:
  std::map<std::string, Known> known_;
};

}  // namespace vernier::calib::cuda

#endif  // VERNIER_TESTS_CALIB_CUDA_ON_CPU_H_
