// GPTQ of NVFP4 on a CUDA device: the bytes of quantizers/nvfp4_gptq.h.
#ifndef VERNIER_CALIB_GPTQ_DEVICE_H_
#define VERNIER_CALIB_GPTQ_DEVICE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "calib/device_kernels.h"
#include "calib/encoded_weight.h"
#include "calib/gptq_factor.h"

namespace vernier::calib {

// The kernels as text (calib/gptq_kernel.cu).
extern const char kGptqKernelSource[];

class GptqOnDevice {
 public:
  // With kGptqKernelSource's kernels.
  explicit GptqOnDevice(std::unique_ptr<DeviceKernels> kernels) : kernels_(std::move(kernels)) {}
  // Null, and why in `problem`, where the device cannot compile kernels.
  static std::unique_ptr<GptqOnDevice> Make(at::Device device, std::string& problem);

  // `values` [N, K] BF16 or F32, on any device; the factor on this one, and so is what is made,
  // which the device may still be at work on. Memory there: an F32 copy of `values`, and three
  // bytes for each.
  EncodedWeight Start(const at::Tensor& values, float global_scale, const GptqFactor& factor) const;

 private:
  std::unique_ptr<DeviceKernels> kernels_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_GPTQ_DEVICE_H_
