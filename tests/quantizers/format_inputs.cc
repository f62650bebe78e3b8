#include "tests/quantizers/format_inputs.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "quantizers/float_formats.h"
#include "quantizers/simd_targets.h"

namespace vernier::quantizers {
namespace {

template <typename Make>
NamedValues Generate(const std::string& name, size_t count, Make make) {
  std::mt19937 random(11);
  NamedValues input{name, std::vector<float>(count)};
  for (float& value : input.values) value = make(random);
  return input;
}

float AnyFinite(std::mt19937& random) {
  const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
  return std::isfinite(value) ? value : -0.0f;
}

// Values on and next to the rounding boundaries of every power-of-two grid near 1.
float Tie(std::mt19937& random) {
  const float middle =
      std::ldexp(static_cast<float>(random() % 64), static_cast<int>(random() % 5)) / 64;
  const float near = random() % 3 == 0 ? std::nextafter(middle, 9.0f) : middle;
  return random() % 2 == 0 ? near : -near;
}

float Special(std::mt19937& random) {
  const float specials[] = {kInfinity, -kInfinity, kNan, -kNan, 0.0f, -0.0f, 1.0f, -3e38f};
  return random() % 8 == 0 ? specials[random() % 8] : AnyFinite(random);
}

}  // namespace

std::vector<NamedValues> FiniteInputs(size_t count) {
  std::normal_distribution<float> normal(0.0f, 0.02f);
  return {
      Generate("Gaussian", count, [&](auto& random) { return normal(random); }),
      Generate("all exponents", count, AnyFinite),
      Generate("ties", count, Tie),
      Generate("tiny", count, [&](auto& random) { return normal(random) * 0x1p-140f; }),
      Generate("mostly zero", count,
               [](auto& random) { return random() % 97 == 0 ? Tie(random) : -0.0f; }),
  };
}

std::vector<NamedValues> FormatInputs(size_t count) {
  auto inputs = FiniteInputs(count);
  inputs.push_back(Generate("special", count, Special));
  return inputs;
}

std::vector<uint16_t> ToBf16(const std::vector<float>& values) {
  std::vector<uint16_t> bf16;
  for (const float value : values) bf16.push_back(FloatToBf16(value));
  return bf16;
}

std::vector<uint8_t> RandomBytes(size_t count) {
  std::mt19937 random(5);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

std::vector<uint32_t> Bits(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

void OnEveryTarget(const std::function<void()>& check) {
  for (const int64_t target : SimdTargets()) {
    SCOPED_TRACE(SimdTargetName(target));
    const ForcedSimdTarget forced(target);
    check();
  }
}

}  // namespace vernier::quantizers
