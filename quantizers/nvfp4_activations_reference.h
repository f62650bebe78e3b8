// What W4A4 kernels make of an activation: NVFP4 with a global scale that was calibrated (the
// checkpoint's input_scale) and block scales found at run time. The definition, one value at a
// time.
#ifndef VERNIER_QUANTIZERS_NVFP4_ACTIVATIONS_REFERENCE_H_
#define VERNIER_QUANTIZERS_NVFP4_ACTIVATIONS_REFERENCE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"

namespace vernier::quantizers::reference {

// E4M3(amax / (6 * global_scale)), at most 448. Unlike a weight's block scale it may be 0: kernels
// do not raise a scale that underflows, and then the block is zeros (vLLM
// nvfp4_emulation_utils.py).
inline float Nvfp4ActivationScale(std::span<const float> block, float global_scale) {
  float amax = 0.0f;
  for (const float value : block) amax = std::max(amax, std::fabs(value));
  return E4m3ToFloat(FloatToE4m3(std::min(amax / (kE2m1Max * global_scale), kE4m3Max)));
}

// Quantises and dequantises rows of whole blocks of 16 finite values:
//   value = E2M1(x / (scale * global_scale)) * (scale * global_scale)
// Values beyond 6 * 448 * global_scale saturate. `global_scale`: a multiplier, finite and > 0.
// Quotients are IEEE quotients, where kernels multiply by approximate reciprocals: a value whose
// quotient is within the last bits of a rounding boundary may be the other neighbour there.
inline void RoundTripNvfp4Activations(std::span<const float> values, float global_scale,
                                      std::span<float> out) {
  constexpr size_t kBlock = kNvfp4BlockSize;
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const float scale = Nvfp4ActivationScale(values.subspan(begin, kBlock), global_scale);
    const float step = scale * global_scale;
    for (size_t i = begin; i < begin + kBlock; ++i) {
      out[i] = scale == 0.0f ? 0.0f : kE2m1Values[FloatToE2m1(values[i] / step)] * step;
    }
  }
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_NVFP4_ACTIVATIONS_REFERENCE_H_
