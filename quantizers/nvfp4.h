// NVFP4: E2M1 nibbles, one E4M3 scale per 16 columns, one F32 global scale per tensor.
//   value = E2M1(nibble) * (E4M3(block scale) * global_scale)
// Arithmetic and order of operations are those of ModelOpt on a CPU (nvfp4_tensor.py).
#ifndef VERNIER_QUANTIZERS_NVFP4_H_
#define VERNIER_QUANTIZERS_NVFP4_H_

#include <cstdint>
#include <span>

namespace vernier::quantizers {

inline constexpr int64_t kNvfp4BlockSize = 16;

// Below this global scale its product with the smallest block scale, 2^-9, would leave F32's normal
// range.
inline constexpr float kNvfp4MinGlobalScale = 0x1p-117f;

// amax / (6 * 448) in F32. An all-zero tensor (amax 0) gets 1.0 and a quotient below
// kNvfp4MinGlobalScale is raised to it, so that no scale is ever 0 or NaN.
// `amax` must be finite and >= 0. Serves weights (weight_scale_2) and activations (input_scale).
float Nvfp4GlobalScale(float amax);

// Quantises rows of `columns` F32 values (row-major; columns % 16 == 0) with a given global scale,
// finite and >= kNvfp4MinGlobalScale.
//   packed [rows * columns / 2]: even column in the low nibble
//   scales [rows * columns / 16]: E4M3, clamped to [2^-9, 448]; a block of zeros gets 1.0 (0x38),
//     as does one whose amax / (6 * global_scale) underflows to 0
// Values beyond 6 * 448 * global_scale saturate. Values must be finite: NaN or Inf is a programming
// error (callers check sources), but even then no NaN scale is written.
void QuantizeNvfp4(std::span<const float> values, int64_t columns, float global_scale,
                   std::span<uint8_t> packed, std::span<uint8_t> scales);

// Inverse of the storage format, for the same shapes.
void DequantizeNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     int64_t columns, float global_scale, std::span<float> values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_NVFP4_H_
