// Scalar definitions of the number formats: one obvious definition each. Fast kernels are tested
// against these. Everything is constexpr, so that tables are made at compile time.
#ifndef VERNIER_QUANTIZERS_FLOAT_FORMATS_H_
#define VERNIER_QUANTIZERS_FLOAT_FORMATS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace vernier::quantizers {

inline constexpr float kE2m1Max = 6.0f;
inline constexpr float kE4m3Max = 448.0f;
inline constexpr float kE4m3MinPositive = 1.0f / 512.0f;  // 2^-9, the smallest denormal
inline constexpr int kE8m0Bias = 127;

// E2M1 (FP4): sign, 2 exponent bits, 1 mantissa bit. Code 8 (negative zero) decodes to +0, as in
// ModelOpt's table and DeepSeek's reference code.
inline constexpr std::array<float, 16> kE2m1Values = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,
                                                      4.0f,  6.0f,  0.0f,  -0.5f, -1.0f, -1.5f,
                                                      -2.0f, -3.0f, -4.0f, -6.0f};

// BF16: the upper half of an F32. Rounds to nearest even; NaN stays NaN.
constexpr float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

constexpr uint16_t FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // stays a quiet NaN
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

// IEEE binary16. Rounds to nearest even; a magnitude of 65520 and more becomes an infinity.
constexpr uint16_t FloatToF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFF'FFFFu;
  if (magnitude > 0x7F80'0000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (magnitude >= std::bit_cast<uint32_t>(65520.0f)) return static_cast<uint16_t>(sign | 0x7C00u);
  if (magnitude < std::bit_cast<uint32_t>(0x1p-14f)) {
    // Denormal: adding 1/2 leaves exactly the multiples of 2^-24, rounded by the hardware.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(
        sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
  }
  const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - ((127u - 15u) << 10)));
}

constexpr float F16ToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1Fu;
  const uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t wide_exponent = exponent == 0x1Fu ? 0xFFu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

namespace internal {

constexpr float DecodeE4m3(uint8_t bits) {
  const int exponent = (bits >> 3) & 0xF;
  const int mantissa = bits & 0x7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  float magnitude = exponent == 0 ? static_cast<float>(mantissa) : static_cast<float>(8 + mantissa);
  magnitude *= kE4m3MinPositive;
  for (int i = 1; i < exponent; ++i) magnitude *= 2.0f;
  return bits & 0x80 ? -magnitude : magnitude;
}

constexpr std::array<float, 256> MakeE4m3Values() {
  std::array<float, 256> values{};
  for (size_t i = 0; i < values.size(); ++i) values[i] = DecodeE4m3(static_cast<uint8_t>(i));
  return values;
}

}  // namespace internal

// OCP E4M3 (no infinities; 0x7F and 0xFF are NaN).
inline constexpr std::array<float, 256> kE4m3Values = internal::MakeE4m3Values();

constexpr float E4m3ToFloat(uint8_t bits) { return kE4m3Values[bits]; }

// Round to nearest even. A magnitude above 464, the middle between 448 and the missing next value,
// and NaN give NaN; callers that must not write NaN clamp to 448 first.
constexpr uint8_t FloatToE4m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80u;
  const uint32_t magnitude = bits & 0x7FFF'FFFFu;
  if (magnitude > std::bit_cast<uint32_t>(464.0f)) return static_cast<uint8_t>(sign | 0x7Fu);
  if (magnitude < std::bit_cast<uint32_t>(0x1p-6f)) {
    // Denormal: adding 2^14 leaves exactly the multiples of 2^-9, rounded by the hardware.
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
    return static_cast<uint8_t>(
        sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0x1p14f)));
  }
  const uint32_t rounded = magnitude + 0x7'FFFFu + ((magnitude >> 20) & 1u);
  return static_cast<uint8_t>(sign | ((rounded >> 20) - ((127u - 7u) << 3)));
}

// OCP E8M0: 2^(bits - 127); 0xFF is NaN.
constexpr float E8m0ToFloat(uint8_t bits) {
  if (bits == 0) return 0x1p-127f;
  if (bits == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 23);
}

// Nearest E2M1 code, ties to the even code, saturating at +-6; NaN gives 7. The sign bit is
// `value < 0`, so -0 encodes as 0 while a negative that rounds to zero encodes as 8
// (ModelOpt, nvfp4_tensor.py _cast_fp4).
constexpr uint8_t FloatToE2m1(float value) {
  const bool negative = value < 0.0f;
  const float a = negative ? -value : value;
  // The number of rounding boundaries below the value; written so that NaN is past all of them.
  const int code = !(a <= 0.25f) + !(a < 0.75f) + !(a <= 1.25f) + !(a < 1.75f) + !(a <= 2.5f) +
                   !(a < 3.5f) + !(a <= 5.0f);
  return static_cast<uint8_t>(code | (negative << 3));
}

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_FLOAT_FORMATS_H_
