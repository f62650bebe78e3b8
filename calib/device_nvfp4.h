// Searches for NVFP4 on a CUDA device: the bytes of quantizers/.
#ifndef VERNIER_CALIB_DEVICE_NVFP4_H_
#define VERNIER_CALIB_DEVICE_NVFP4_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "calib/device_kernels.h"
#include "calib/encoded_weight.h"
#include "calib/gptq_factor.h"

namespace vernier::calib {

// The kernels as text (calib/nvfp4_kernel.cu).
extern const char kNvfp4KernelSource[];

// How GPTQ is launched: positions that one launch quantises, and rows of a block of threads that
// does; a tile of positions and rows in which one makes up for errors. The kernels have the same.
inline constexpr int64_t kGptqGroup = 128, kGptqGroupRows = 8;
inline constexpr int64_t kGptqTilePositions = 64, kGptqTileRows = 128;

// What is made is on the device, which may still be at work on it.
class DeviceNvfp4 {
 public:
  // With kNvfp4KernelSource's kernels, which must outlive it.
  explicit DeviceNvfp4(const DeviceKernels& kernels) : kernels_(&kernels) {}
  // Nothing where the device is none of CUDA's or cannot compile kernels: the CPU does the same.
  static std::optional<DeviceNvfp4> Find(at::Device device);
  // Why a CUDA device cannot; empty: it can, or it is none.
  static std::string ProblemOf(at::Device device);

  // As quantizers/nvfp4_gptq.h defines. `values` [N, K] BF16 or F32 and the factor are on the
  // device. Memory there: two F32 copies of `values` at first, then one and three bytes for each.
  EncodedWeight Gptq(const at::Tensor& values, float global_scale, const GptqFactor& factor) const;

  // As quantizers/nvfp4_search.h defines. `values` [N, K] BF16 or F32 and `importance` [K] F32 are
  // on the device.
  EncodedWeight Squares(const at::Tensor& values, float global_scale,
                        const at::Tensor& importance) const;

  // As quantizers/nvfp4_local_hessian.h defines. `values` [N, K] BF16 or F32 and `hessians`
  // [K / 16, 16, 16] F32, of which the upper triangles are read, are on the device.
  EncodedWeight LocalHessian(const at::Tensor& values, float global_scale,
                             const at::Tensor& hessians) const;

 private:
  EncodedWeight ByBlocks(const char* kernel, const at::Tensor& values, float global_scale,
                         std::vector<const float*> of_columns) const;

  const DeviceKernels* kernels_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_NVFP4_H_
