#include "quantizers/nvfp4_gptq_reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <variant>
#include <vector>

#include "quantizers/bf16_reference.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_reference.h"
#include "quantizers/nvfp4_search.h"

namespace vernier::quantizers::reference {
namespace {

constexpr size_t kBlock = kNvfp4BlockSize;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A block under one scale.
struct Attempt {
  uint8_t code = 0;
  std::array<uint8_t, kBlock> nibbles{};
  Nvfp4Block errors{};
  float cost = kInfinity;
};

uint8_t RuleCode(const Nvfp4Block& values, float global_scale) {
  float amax = 0.0f;
  for (const float value : values) {
    const float magnitude = std::fabs(value);
    amax = std::max(amax, std::isnan(magnitude) ? kInfinity : magnitude);
  }
  return FloatToE4m3(Nvfp4Quotient(amax, kE2m1Max, global_scale));
}

// `factor`: the block's first diagonal element, in rows of `columns`.
Attempt Try(Nvfp4Block v, const float* factor, size_t columns, uint8_t code, float global_scale) {
  const float scale = E4m3ToFloat(code) * global_scale;
  Attempt attempt{.code = code, .cost = 0.0f};
  for (size_t i = 0; i < kBlock; ++i) {
    const float* row = factor + i * columns;
    attempt.nibbles[i] = FloatToE2m1(v[i] / scale);
    const float error = std::fma(-kE2m1Values[attempt.nibbles[i]], scale, v[i]) * (1.0f / row[i]);
    attempt.errors[i] = error;
    attempt.cost = std::fma(error, error, attempt.cost);
    for (size_t k = i + 1; k < kBlock; ++k) v[k] = std::fma(-error, row[k], v[k]);
  }
  return attempt;
}

// With the rule's code and no errors.
Attempt Uncompensated(const Nvfp4Block& values, uint8_t rule, float global_scale) {
  const float scale = E4m3ToFloat(rule) * global_scale;
  Attempt attempt{.code = rule};
  for (size_t i = 0; i < kBlock; ++i) attempt.nibbles[i] = FloatToE2m1(values[i] / scale);
  return attempt;
}

Attempt BestAttempt(const Nvfp4Block& values, const float* factor, size_t columns,
                    float global_scale) {
  const uint8_t rule = RuleCode(values, global_scale);
  Attempt best = Uncompensated(values, rule, global_scale);
  const auto offer = [&](int code) {
    const Attempt attempt = Try(values, factor, columns, static_cast<uint8_t>(code), global_scale);
    if (attempt.cost < best.cost) best = attempt;
  };
  offer(rule);  // of equals, the first one stays
  const int last = std::min(rule + kGptqCodesAboveRule, kMaxScaleCode);
  for (int code = std::max(rule - kGptqCodesBelowRule, kMinScaleCode); code <= last; ++code) {
    offer(code);
  }
  return best;
}

// `w`: a row, by position. Writes its bytes.
void QuantizeRow(std::vector<float>& w, const Nvfp4GptqOptions& options, uint8_t* packed,
                 uint8_t* scales) {
  const size_t columns = w.size();
  for (size_t first = 0; first < columns; first += kBlock) {
    Nvfp4Block values;
    std::copy_n(w.data() + first, kBlock, values.begin());
    const float* factor = options.factor.data() + first * columns;
    const Attempt best = BestAttempt(values, factor + first, columns, options.global_scale);
    scales[static_cast<size_t>(options.order[first]) / kBlock] = best.code;
    for (size_t i = 0; i < kBlock; ++i) {
      const auto column = static_cast<size_t>(options.order[first + i]);
      packed[column / 2] |= static_cast<uint8_t>(best.nibbles[i] << (column % 2 * 4));
      for (size_t j = first + kBlock; j < columns; ++j) {
        w[j] = std::fma(-best.errors[i], factor[i * columns + j], w[j]);
      }
    }
  }
}

template <typename T>
void QuantizeReals(std::span<const T> source, size_t columns, const Nvfp4GptqOptions& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales) {
  std::vector<float> w(columns);
  for (size_t first = 0; first < source.size(); first += columns) {
    for (size_t p = 0; p < columns; ++p) {
      w[p] = Widen(source[first + static_cast<size_t>(options.order[p])]);
    }
    QuantizeRow(w, options, packed.data() + first / 2, scales.data() + first / kBlock);
  }
}

}  // namespace

void QuantizeNvfp4Gptq(RealSpan values, int64_t columns, const Nvfp4GptqOptions& options,
                       std::span<uint8_t> packed, std::span<uint8_t> scales) {
  std::ranges::fill(packed, uint8_t{0});
  const auto run = [&](auto reals) {
    QuantizeReals(reals, static_cast<size_t>(columns), options, packed, scales);
  };
  std::visit(run, values);
}

}  // namespace vernier::quantizers::reference
