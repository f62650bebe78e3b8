// Tables by which vectors turn MXFP4 into BF16, made at compile time from the scalar definitions.
#ifndef VERNIER_QUANTIZERS_MXFP4_TABLES_H_
#define VERNIER_QUANTIZERS_MXFP4_TABLES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "quantizers/float_formats.h"
#include "quantizers/mxfp4.h"

namespace vernier::quantizers {

// The BF16 values of the 16 nibbles under one scale, by byte.
struct Mxfp4Bf16Table {
  alignas(16) std::array<uint8_t, 16> lower{};
  alignas(16) std::array<uint8_t, 16> upper{};
};

namespace internal {

// E2M1(nibble) * 2^(e8m0 - 127), as the product in F32 is.
constexpr float Mxfp4Value(size_t nibble, size_t e8m0) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (e8m0 == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  const float element = kE2m1Values[nibble];
  const double product = double{element} * E8m0ToFloat(static_cast<uint8_t>(e8m0));
  if (product > std::numeric_limits<float>::max()) return kInfinity;
  if (product < std::numeric_limits<float>::lowest()) return -kInfinity;
  return static_cast<float>(product);
}

constexpr std::array<Mxfp4Bf16Table, 256> MakeMxfp4Bf16Tables() {
  std::array<Mxfp4Bf16Table, 256> tables;
  for (size_t e8m0 = 0; e8m0 < tables.size(); ++e8m0) {
    for (size_t nibble = 0; nibble < 16; ++nibble) {
      const uint16_t bf16 = FloatToBf16(Mxfp4Value(nibble, e8m0));
      tables[e8m0].lower[nibble] = static_cast<uint8_t>(bf16);
      tables[e8m0].upper[nibble] = static_cast<uint8_t>(bf16 >> 8);
    }
  }
  return tables;
}

// Which packed byte of a block each byte of its BF16 values comes from.
constexpr std::array<uint8_t, 2 * kMxfp4BlockSize> MakeMxfp4SpreadBytes() {
  std::array<uint8_t, 2 * kMxfp4BlockSize> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i / 4);
  return bytes;
}

}  // namespace internal

inline constexpr std::array<Mxfp4Bf16Table, 256> kMxfp4Bf16Tables = internal::MakeMxfp4Bf16Tables();
inline constexpr std::array<uint8_t, 2 * kMxfp4BlockSize> kMxfp4SpreadBytes =
    internal::MakeMxfp4SpreadBytes();

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_MXFP4_TABLES_H_
