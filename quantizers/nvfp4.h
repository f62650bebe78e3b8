// NVFP4: E2M1 nibbles, one E4M3 scale per 16 columns, one F32 global scale per tensor.
//   value = E2M1(nibble) * (E4M3(block scale) * global_scale)
// Arithmetic and order of operations are those of ModelOpt on a CPU (nvfp4_tensor.py). The bytes do
// not depend on the processor: nvfp4_reference.h defines them, and kernels for wide registers give
// the same.
#ifndef VERNIER_QUANTIZERS_NVFP4_H_
#define VERNIER_QUANTIZERS_NVFP4_H_

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

inline constexpr int64_t kNvfp4BlockSize = 16;

// Below this global scale its product with the smallest block scale, 2^-9, would leave F32's normal
// range.
inline constexpr float kNvfp4MinGlobalScale = 0x1p-117f;

// How a block's scale is chosen. "The rule's scale" is E4M3(block amax / (6 * global_scale)).
enum class Nvfp4Search {
  kMax,           // the rule's scale
  kFourOverSix,   // that, or E4M3(block amax / (4 * global_scale)) where its squared error is
                  // smaller (Four Over Six, arXiv 2512.02010)
  kMse,           // the E4M3 scale with the smallest squared error (nvfp4_search.h)
  kLocalHessian,  // the E4M3 scale with the smallest error e^T H e, where e are the errors of a
                  // block's values and H is the block's local Hessian (nvfp4_local_hessian.h)
};

// amax / (6 * d) in F32, where d is the E4M3 scale that the tensor's largest block is to get: 448
// for kMax; 256 for the searches, which then may also raise the largest block's scale (by 1.5 for
// kFourOverSix, by up to 1.75 for kMse and kLocalHessian). For kMse 256 was compared with 448 on
// Gaussian, Laplace and Student's t weights: the error is the same or up to 0.05 % lower. An
// all-zero tensor (amax 0) gets 1.0 and a quotient below kNvfp4MinGlobalScale is raised to it, so
// that no scale is ever 0 or NaN. `amax` must be finite and >= 0. With kMax it serves weights
// (weight_scale_2) and activations (input_scale).
float Nvfp4GlobalScale(float amax, Nvfp4Search search = Nvfp4Search::kMax);

struct Nvfp4Options {
  float global_scale = 1;  // finite and >= kNvfp4MinGlobalScale
  Nvfp4Search search = Nvfp4Search::kMax;
  // kFourOverSix and kMse weight each column's squared error by this: one finite value >= 0 per
  // column, or empty for 1. The others do not look at it.
  std::span<const float> importance = {};
  // kLocalHessian's H, one for each block of 16 columns of a row, the same for all rows
  // [columns / 16, 16, 16]: the mean of x x^T over inputs x of the block's columns, or any other
  // symmetric matrix that is positive semidefinite but for F32's rounding. Finite values, of which
  // none is beyond 2^90. A block's H of 0 counts as the identity, and so does empty for all. The
  // nearer to singular, the slower the search; a matrix of few inputs should be damped.
  std::span<const float> local_hessian = {};
};

// Quantises rows of `columns` values (row-major; columns % 16 == 0).
//   packed [rows * columns / 2]: even column in the low nibble
//   scales [rows * columns / 16]: E4M3 within [2^-9, 448]; a block of zeros gets 1.0 (0x38), as
//     does one whose amax / (6 * global_scale) underflows to 0
// Values beyond 6 * 448 * global_scale saturate. -0 becomes code 0; a negative that rounds to zero
// becomes code 8. Values must be finite, which callers check (amax.h); a block with NaN or Inf gets
// the scale 448, NaN becomes code 7, and never is a NaN scale written.
void QuantizeNvfp4(RealSpan values, int64_t columns, const Nvfp4Options& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales);

// Inverse of the storage format, for the same shapes. To BF16 the F32 value is rounded to nearest
// even. Codes 0 and 8 both give zero; a NaN scale (0x7F, 0xFF) gives NaN.
void DequantizeNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     int64_t columns, float global_scale, MutableRealSpan values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_NVFP4_H_
