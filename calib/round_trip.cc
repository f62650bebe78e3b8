#include "calib/round_trip.h"

#include <cassert>

#include "quantizers/float_formats.h"
#include "quantizers/fp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

using quantizers::kE2m1Max;
using quantizers::kE4m3Max;
using quantizers::kE4m3MinPositive;

constexpr double kE4m3MinNormal = 0x1p-6;
constexpr int kDroppedMantissaBits = 20;  // of F32's 23, E4M3 keeps 3

// A divisor on x's device: ATen may multiply by the reciprocal of a number that it is given as a
// scalar.
at::Tensor Divisor(float value, const at::Tensor& x) {
  return at::full({1}, value, x.options().dtype(at::kFloat));
}

// Magnitudes in [0, 448], F32 -> the nearest E4M3 values, ties to even.
at::Tensor NearestE4m3(const at::Tensor& magnitude) {
  const at::Tensor bits = magnitude.view(at::kInt);
  const at::Tensor odd = at::bitwise_right_shift(bits, kDroppedMantissaBits).bitwise_and(1);
  const at::Tensor rounded = (bits + odd + ((1 << (kDroppedMantissaBits - 1)) - 1))
                                 .bitwise_and(-(1 << kDroppedMantissaBits))
                                 .view(at::kFloat);
  const at::Tensor denormal = (magnitude / kE4m3MinPositive).round() * kE4m3MinPositive;
  return at::where(magnitude.lt(kE4m3MinNormal), denormal, rounded);
}

// Magnitudes, F32 -> the nearest E2M1 values, ties to the even code.
at::Tensor NearestE2m1(const at::Tensor& magnitude) {
  const at::Tensor halves = (magnitude * 2).round() * 0.5;
  const at::Tensor twos = ((magnitude * 0.5).round() * 2).clamp_max(kE2m1Max);
  const at::Tensor above_two = at::where(magnitude.lt(4), magnitude.round(), twos);
  return at::where(magnitude.lt(2), halves, above_two);
}

// `x` F32, `scale` F32 that broadcasts.
at::Tensor RoundTripScaled(const at::Tensor& x, const at::Tensor& scale) {
  const at::Tensor magnitude = NearestE4m3((x.abs() / scale).clamp_max(kE4m3Max));
  return at::copysign(magnitude, x) * scale;
}

// amax / 448 and its floor, 1 for a group of zeros.
at::Tensor Fp8Scales(const at::Tensor& amax) {
  const at::Tensor scale = (amax / Divisor(kE4m3Max, amax)).clamp_min(quantizers::kFp8MinScale);
  return at::where(amax.eq(0), at::ones_like(amax), scale);
}

// 2^ceil(log2(amax / 448)) exactly: 448 is 1.75 * 2^8, so the exponent rises past that mantissa.
at::Tensor Fp8PowersOfTwo(const at::Tensor& amax) {
  constexpr int kMantissaBits = 23, kExponentOf448 = 8, kPastMantissa = 0x1F'FFFF;
  const at::Tensor raised =
      at::bitwise_right_shift(amax.view(at::kInt) + kPastMantissa, kMantissaBits);
  const at::Tensor exponent = (raised - kExponentOf448).clamp_min(1);  // at least kFp8MinScale
  const at::Tensor scale = at::bitwise_left_shift(exponent, kMantissaBits).view(at::kFloat);
  return at::where(amax.eq(0), at::ones_like(amax), scale);
}

}  // namespace

at::Tensor RoundTripNvfp4(const at::Tensor& x, float global_scale) {
  assert(x.size(-1) % quantizers::kNvfp4BlockSize == 0);
  const at::Tensor blocks = x.to(at::kFloat).reshape({-1, quantizers::kNvfp4BlockSize});
  const at::Tensor magnitude = blocks.abs();
  const at::Tensor quotient =
      magnitude.amax(-1, /*keepdim=*/true) / Divisor(kE2m1Max * global_scale, x);
  const at::Tensor scale = NearestE4m3(quotient.clamp_max(kE4m3Max));
  const at::Tensor step = scale * global_scale;
  const at::Tensor nearest = NearestE2m1(magnitude / step) * step;
  // 0 - 0 for negatives that become zero: no value is -0.
  const at::Tensor values = at::where(blocks.lt(0), 0.0 - nearest, nearest);
  return values.masked_fill(scale.eq(0), 0).view(x.sizes()).to(x.scalar_type());
}

at::Tensor RoundTripFp8(const at::Tensor& x, float scale) {
  return RoundTripScaled(x.to(at::kFloat), Divisor(scale, x)).to(x.scalar_type());
}

at::Tensor RoundTripFp8Groups(const at::Tensor& x, int64_t group, bool power_of_two) {
  const int64_t columns = x.size(-1), padding = (group - columns % group) % group;
  const at::Tensor rows = x.to(at::kFloat).reshape({-1, columns});
  const at::Tensor groups = at::constant_pad_nd(rows, {0, padding}).reshape({-1, group});
  const at::Tensor amax = groups.abs().amax(-1, /*keepdim=*/true);
  const at::Tensor scale = power_of_two ? Fp8PowersOfTwo(amax) : Fp8Scales(amax);
  return RoundTripScaled(groups, scale)
      .view({rows.size(0), -1})
      .slice(1, 0, columns)
      .reshape(x.sizes())
      .to(x.scalar_type());
}

}  // namespace vernier::calib
