// Activations as quantised matrix products see them: quantised and dequantised along the last axis,
// in ATen operators, so that every device computes the same. Bit for bit (in F32; results are then
// rounded to the dtype of `x`) the definitions of quantizers/, which tests compare them with.
#ifndef VERNIER_CALIB_ROUND_TRIP_H_
#define VERNIER_CALIB_ROUND_TRIP_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace vernier::calib {

// x [..., K], K % 16 == 0, finite: quantizers/nvfp4_activations_reference.h.
at::Tensor RoundTripNvfp4(const at::Tensor& x, float global_scale);

// x [..., K] of any K: E4M3 with this scale for all values; those beyond 448 * scale saturate
// (quantizers/fp8.h).
at::Tensor RoundTripFp8(const at::Tensor& x, float scale);

// The same with a scale for each `group` columns of a row (the last group may be shorter), found
// from their amax as QuantizeFp8Blocks does for blocks of 1 x group: F32, or powers of two.
at::Tensor RoundTripFp8Groups(const at::Tensor& x, int64_t group, bool power_of_two);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_ROUND_TRIP_H_
