#include "quantizers/nvfp4_reference.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "quantizers/bf16_reference.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4_local_hessian.h"
#include "quantizers/nvfp4_search.h"

namespace vernier::quantizers::reference {
namespace {

constexpr size_t kBlock = kNvfp4BlockSize;

// A NaN counts as infinity.
float BlockAmax(const Nvfp4Block& values) {
  float amax = 0.0f;
  for (const float value : values) {
    const float magnitude = std::fabs(value);
    if (std::isnan(magnitude)) return std::numeric_limits<float>::infinity();
    amax = std::max(amax, magnitude);
  }
  return amax;
}

float NearestE2m1(double q) {
  float nearest = 0.0f;
  for (size_t code = 1; code < 8; ++code) {
    if (std::fabs(kE2m1Values[code] - q) <= std::fabs(nearest - q)) nearest = kE2m1Values[code];
  }
  return nearest;
}

float Reciprocal(int code, float global_scale) {
  return kE4m3Reciprocals[static_cast<size_t>(code)] * (1.0f / global_scale);
}

float TimesSquare(float sum, int code) {
  const float scale = E4m3ToFloat(static_cast<uint8_t>(code));
  return sum * (scale * scale);
}

// The largest part of a code's error that is one saturated value's.
float SaturationCost(const Nvfp4Block& magnitudes, const Nvfp4Block& weights, int code,
                     float global_scale) {
  const float reciprocal = Reciprocal(code, global_scale);
  float most = 0.0f;
  for (size_t i = 0; i < kBlock; ++i) {
    const float excess = std::fma(magnitudes[i], reciprocal, -kE2m1Max);
    if (excess > 0.0f) most = std::max(most, weights[i] * excess * excess);
  }
  return TimesSquare(most, code);
}

// nvfp4_search.h. `quotient` is amax / (6 * global_scale).
uint8_t SmallestErrorCode(const Nvfp4Block& magnitudes, const Nvfp4Block& weights,
                          float global_scale, float quotient) {
  const uint8_t rule = FloatToE4m3(quotient);
  const float highest = std::min(quotient * kSearchStartFactor, kE4m3Max);
  const int start = std::clamp(FloatToE4m3(highest) + 1, kMinSearchStart, kMaxScaleCode);
  int best = rule;
  float least = Nvfp4Error(magnitudes, weights, rule, global_scale);
  for (int code = start; code >= kMinScaleCode; --code) {
    const float cost = SaturationCost(magnitudes, weights, code, global_scale);
    if (cost > least || (cost == least && best == rule)) break;
    const float error = Nvfp4Error(magnitudes, weights, static_cast<uint8_t>(code), global_scale);
    if (error < least || (error == least && best != rule)) {
      best = code;
      least = error;
    }
  }
  return static_cast<uint8_t>(best);
}

// The matrix of the block whose first column is `column`.
std::span<const float> LocalHessian(std::span<const float> matrices, size_t column) {
  static constexpr auto kIdentity = [] {
    std::array<float, kBlock * kBlock> identity{};
    for (size_t i = 0; i < kBlock; ++i) identity[i * kBlock + i] = 1.0f;
    return identity;
  }();
  if (matrices.empty()) return kIdentity;
  const std::span<const float> matrix = matrices.subspan(column * kBlock, kBlock * kBlock);
  for (size_t i = 0; i < kBlock; ++i) {
    if (matrix[i * kBlock + i] != 0.0f) return matrix;
  }
  return kIdentity;
}

// nvfp4_local_hessian.h.
uint8_t SmallestLocalHessianErrorCode(const Nvfp4Block& values, std::span<const float> hessian,
                                      float global_scale, float quotient) {
  const uint8_t rule = FloatToE4m3(quotient);
  if (BlockAmax(values) == 0.0f || quotient >= kE4m3Max) return rule;
  int best = rule;
  float least = Nvfp4LocalHessianError(values, hessian, rule, global_scale);
  for (int code = std::min(rule + kCodesAboveRule, kMaxScaleCode); code >= kMinScaleCode; --code) {
    const auto byte = static_cast<uint8_t>(code);
    const float error = Nvfp4LocalHessianError(values, hessian, byte, global_scale);
    if (error < least || (error == least && best != rule)) {
      best = code;
      least = error;
    }
  }
  return static_cast<uint8_t>(best);
}

uint8_t ChooseScale(const Nvfp4Block& values, const Nvfp4Options& options, size_t column) {
  const float global_scale = options.global_scale;
  const float amax = BlockAmax(values);
  const float quotient = Nvfp4Quotient(amax, kE2m1Max, global_scale);
  const uint8_t rule = FloatToE4m3(quotient);
  if (options.search == Nvfp4Search::kMax) return rule;

  if (options.search == Nvfp4Search::kLocalHessian) {
    return SmallestLocalHessianErrorCode(values, LocalHessian(options.local_hessian, column),
                                         global_scale, quotient);
  }

  Nvfp4Block magnitudes;
  for (size_t i = 0; i < kBlock; ++i) magnitudes[i] = std::fabs(values[i]);
  Nvfp4Block weights;
  weights.fill(1.0f);
  if (!options.importance.empty()) {
    std::copy_n(options.importance.data() + column, kBlock, weights.begin());
  }
  if (options.search == Nvfp4Search::kMse) {
    return SmallestErrorCode(magnitudes, weights, global_scale, quotient);
  }
  const uint8_t four = FloatToE4m3(Nvfp4Quotient(amax, 4.0f, global_scale));
  const float error = Nvfp4Error(magnitudes, weights, rule, global_scale);
  return Nvfp4Error(magnitudes, weights, four, global_scale) < error ? four : rule;
}

template <typename T>
void QuantizeReals(std::span<const T> source, int64_t columns, const Nvfp4Options& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales) {
  for (size_t block = 0; block < scales.size(); ++block) {
    Nvfp4Block values;
    for (size_t i = 0; i < kBlock; ++i) values[i] = Widen(source[block * kBlock + i]);
    scales[block] = ChooseScale(values, options, block * kBlock % static_cast<size_t>(columns));
    const float scale = E4m3ToFloat(scales[block]) * options.global_scale;
    for (size_t i = 0; i < kBlock; i += 2) {
      packed[(block * kBlock + i) / 2] = static_cast<uint8_t>(
          FloatToE2m1(values[i] / scale) | (FloatToE2m1(values[i + 1] / scale) << 4));
    }
  }
}

template <typename T>
void DequantizeReals(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     float global_scale, std::span<T> values) {
  for (size_t i = 0; i < packed.size(); ++i) {
    const float scale = E4m3ToFloat(scales[i / (kBlock / 2)]) * global_scale;
    Narrow(kE2m1Values[packed[i] & 0xF] * scale, values[2 * i]);
    Narrow(kE2m1Values[packed[i] >> 4] * scale, values[2 * i + 1]);
  }
}

}  // namespace

// Clamping in this order keeps NaN out whatever the inputs are.
float Nvfp4Quotient(float amax, float grid_max, float global_scale) {
  float quotient = amax / (grid_max * global_scale);
  if (quotient == 0.0f) quotient = 1.0f;
  quotient = quotient > kE4m3MinPositive ? quotient : kE4m3MinPositive;
  return quotient < kE4m3Max ? quotient : kE4m3Max;
}

float Nvfp4Error(const Nvfp4Block& magnitudes, const Nvfp4Block& weights, uint8_t code,
                 float global_scale) {
  const float reciprocal = Reciprocal(code, global_scale);
  float sum = 0.0f;
  for (size_t i = 0; i < magnitudes.size(); ++i) {
    // A double holds the product of two floats, but not always its distance.
    const float nearest = NearestE2m1(double{magnitudes[i]} * reciprocal);
    const float d = std::fma(magnitudes[i], reciprocal, -nearest);
    sum = std::fma(weights[i] * d, d, sum);
  }
  return TimesSquare(sum, code);
}

float Nvfp4LocalHessianError(const Nvfp4Block& values, std::span<const float> hessian, uint8_t code,
                             float global_scale) {
  const float step = E4m3ToFloat(code);
  const float scale = step * global_scale;
  Nvfp4Block e;
  for (size_t i = 0; i < e.size(); ++i) {
    const float nearest = kE2m1Values[FloatToE2m1(values[i] / scale)];
    e[i] = std::fma(-nearest, step, values[i] * (1.0f / global_scale));
  }
  float error = 0.0f;
  for (size_t i = 0; i < e.size(); ++i) {
    const float* row = hessian.data() + i * kBlock;
    float t = row[i] * e[i];
    for (size_t j = i + 1; j < e.size(); ++j) t = std::fma(2.0f * row[j], e[j], t);
    error = std::fma(t, e[i], error);
  }
  return error;
}

void QuantizeNvfp4(RealSpan values, int64_t columns, const Nvfp4Options& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales) {
  std::visit([&](auto reals) { QuantizeReals(reals, columns, options, packed, scales); }, values);
}

void DequantizeNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     float global_scale, MutableRealSpan values) {
  std::visit([&](auto reals) { DequantizeReals(packed, scales, global_scale, reals); }, values);
}

}  // namespace vernier::quantizers::reference
