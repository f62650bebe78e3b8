// Statistics of rows on a CUDA device, all that are wanted of an input in one look at it.
#ifndef VERNIER_CALIB_DEVICE_STATISTICS_H_
#define VERNIER_CALIB_DEVICE_STATISTICS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "calib/device_kernels.h"

namespace vernier::calib {

// The kernels as text (calib/statistics_kernel.cu).
extern const char kStatisticsKernelSource[];

// How the kernel that looks at rows is launched: ranges of one launch, columns and threads of a
// block of threads. It has the same numbers.
inline constexpr int64_t kLookRanges = 64, kLookColumns = 128, kLookThreads = 80 + kLookColumns;

// What the kernels can make of rows [R, K].
enum class OneLook {
  kNo,            // nothing of it
  kAmax,          // F32 [1]
  kChannelAmax,   // F32 [K]
  kSquares,       // sums, F64 [K]
  kBlockHessian,  // sums, F32 [K / 16 * 136]
};

class DeviceStatistics {
 public:
  // With kStatisticsKernelSource's kernels, which must outlive it.
  explicit DeviceStatistics(const DeviceKernels& kernels) : kernels_(&kernels) {}
  // Nothing where the device is none of CUDA's or cannot compile kernels: others do the same there.
  static std::optional<DeviceStatistics> Find(at::Device device);
  // Why a CUDA device cannot; empty: it can, or it is none.
  static std::string ProblemOf(at::Device device);

  // Where results go, on the device and contiguous; undefined: not wanted. Maxima begin at 0.
  struct Targets {
    at::Tensor amax, channel_amax;
    at::Tensor squares, triangles;  // [ranges, ...]: each range has its own sums
  };
  // Adds x [R, K] (BF16 or F32), whose rows are cut into ranges of so many each, to `targets`. Sums
  // are those of AddSquares and AddOuterProducts (quantizers/) bit for bit, and it does not matter
  // how a range's rows are cut into calls. Finite values give finite sums.
  void Look(const at::Tensor& x, std::span<const int64_t> ranges, const Targets& targets) const;

  // sums [N] += parts [ranges, N], one range after the other.
  void AddParts(const at::Tensor& parts, const at::Tensor& sums) const;

 private:
  const DeviceKernels* kernels_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_STATISTICS_H_
