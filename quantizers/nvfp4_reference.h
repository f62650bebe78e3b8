// The definition of NVFP4's bytes, one value at a time. Kernels are tested against it; machines
// without a kernel run it. Contracts: nvfp4.h.
#ifndef VERNIER_QUANTIZERS_NVFP4_REFERENCE_H_
#define VERNIER_QUANTIZERS_NVFP4_REFERENCE_H_

#include <array>
#include <cstdint>
#include <span>

#include "quantizers/nvfp4.h"

namespace vernier::quantizers::reference {

using Nvfp4Block = std::array<float, kNvfp4BlockSize>;

// amax / (grid_max * global_scale), where grid_max is the E2M1 value that amax is to become: 6 by
// the rule. Clamped to [2^-9, 448]; 0 becomes 1 and NaN 2^-9. The block scale is its E4M3 cast.
float Nvfp4Quotient(float amax, float grid_max, float global_scale);

// The error of quantising magnitudes with this scale code (nvfp4_search.h).
float Nvfp4Error(const Nvfp4Block& magnitudes, const Nvfp4Block& weights, uint8_t code,
                 float global_scale);

// The same under a local Hessian of 16 x 16, row-major (nvfp4_local_hessian.h).
float Nvfp4LocalHessianError(const Nvfp4Block& values, std::span<const float> hessian, uint8_t code,
                             float global_scale);

void QuantizeNvfp4(RealSpan values, int64_t columns, const Nvfp4Options& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales);
void DequantizeNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     float global_scale, MutableRealSpan values);

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_NVFP4_REFERENCE_H_
