#include "audit/byte_scan.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;

static_assert(kNibbleBytesPerScale * 2 == quantizers::kNvfp4BlockSize);

constexpr uint8_t kE4m3Nan = 0x7F;      // and every code above: NaN or negative
constexpr uint8_t kE4m3Largest = 0x7E;  // 448
constexpr uint8_t kE4m3Zero = 0;
constexpr uint8_t kE8m0Nan = 0xFF;
constexpr int kE4m3MantissaBits = 3;
constexpr uint64_t kMagnitudeBits = 0x7777'7777'7777'7777;  // of 16 nibbles, without their signs

// Elements that are looked at before bad ones among them are counted.
constexpr size_t kTileElements = 4096;

template <typename T>
T LoadAt(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Bit patterns whose exponent bits are all set: Inf or NaN.
template <typename Bits>
int64_t CountAllExponentBits(std::span<const std::byte> bytes, Bits mask) {
  const size_t elements = bytes.size() / sizeof(Bits);
  const auto is_bad = [&](size_t i) {
    return (LoadAt<Bits>(bytes.data() + i * sizeof(Bits)) & mask) == mask;
  };
  int64_t count = 0;
  for (size_t begin = 0; begin < elements; begin += kTileElements) {
    const size_t end = std::min(elements, begin + kTileElements);
    Bits any = 0;
    for (size_t i = begin; i < end; ++i) any |= static_cast<Bits>(is_bad(i));
    for (size_t i = begin; any != 0 && i < end; ++i) count += is_bad(i);
  }
  return count;
}

using CodeCounts = std::array<int64_t, 256>;

// Four tables, so that equal neighbours do not wait for each other.
CodeCounts CountCodes(std::span<const std::byte> codes) {
  constexpr size_t kTables = 4;
  std::array<CodeCounts, kTables> tables = {};
  size_t i = 0;
  for (; i + kTables <= codes.size(); i += kTables) {
    for (size_t k = 0; k < kTables; ++k) ++tables[k][std::to_integer<size_t>(codes[i + k])];
  }
  for (; i < codes.size(); ++i) ++tables[0][std::to_integer<size_t>(codes[i])];
  for (size_t k = 1; k < kTables; ++k) {
    for (size_t code = 0; code < tables[0].size(); ++code) tables[0][code] += tables[k][code];
  }
  return tables[0];
}

bool HasValues(std::span<const std::byte> nibbles, size_t block) {
  return (LoadAt<uint64_t>(nibbles.data() + block * kNibbleBytesPerScale) & kMagnitudeBits) != 0;
}

}  // namespace

bool IsUsableScale(float scale) { return std::isfinite(scale) && scale > 0; }

size_t FloatSize(DType dtype) {
  if (dtype == DType::kF32) return sizeof(float);
  return dtype == DType::kBF16 || dtype == DType::kF16 ? sizeof(uint16_t) : 0;
}

float FloatAt(DType dtype, const std::byte* bytes) {
  if (dtype == DType::kF32) return LoadAt<float>(bytes);
  const auto bits = LoadAt<uint16_t>(bytes);
  return dtype == DType::kBF16 ? quantizers::Bf16ToFloat(bits) : quantizers::F16ToFloat(bits);
}

int64_t CountNotFinite(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::kBF16:
      return CountAllExponentBits<uint16_t>(bytes, 0x7F80);
    case DType::kF16:
      return CountAllExponentBits<uint16_t>(bytes, 0x7C00);
    case DType::kF32:
      return CountAllExponentBits<uint32_t>(bytes, 0x7F80'0000);
    case DType::kF8E4M3:
      return CountAllExponentBits<uint8_t>(bytes, 0x7F);  // E4M3 has no infinities: NaN only
    default:
      return 0;
  }
}

bool HasFloats(DType dtype) { return FloatSize(dtype) != 0 || dtype == DType::kF8E4M3; }

ScaleFacts ScanE4m3Scales(std::span<const std::byte> scales) {
  const CodeCounts counts = CountCodes(scales);
  ScaleFacts facts;
  facts.bytes = scales.size();
  facts.blocks.blocks = static_cast<int64_t>(scales.size());
  facts.blocks.at_maximum = counts[kE4m3Largest];
  for (size_t code = 0; code < counts.size(); ++code) {
    if (code >= kE4m3Nan) facts.nan_or_negative += counts[code];
    const size_t exponent = (code >> kE4m3MantissaBits) % BlockStatistics::kExponents;
    facts.blocks.by_exponent[exponent] += counts[code];
  }
  return facts;
}

int64_t CountLostBlocks(std::span<const std::byte> scales, std::span<const std::byte> nibbles) {
  assert(nibbles.size() == scales.size() * kNibbleBytesPerScale);
  int64_t lost = 0;
  for (size_t i = 0; i < scales.size(); ++i) {
    lost += scales[i] == std::byte{kE4m3Zero} && HasValues(nibbles, i);
  }
  return lost;
}

ScaleFacts ScanBlocks(std::span<const std::byte> scales, std::span<const std::byte> nibbles) {
  assert(nibbles.size() == scales.size() * kNibbleBytesPerScale);
  ScaleFacts facts = ScanE4m3Scales(scales);
  for (size_t i = 0; i < scales.size(); ++i) facts.blocks.zero_blocks += !HasValues(nibbles, i);
  const bool has_zeros = facts.blocks.by_exponent[0] > 0;
  if (has_zeros) facts.lost_blocks = CountLostBlocks(scales, nibbles);
  return facts;
}

ScaleFacts ScanScales(DType dtype, std::span<const std::byte> scales) {
  ScaleFacts facts;
  facts.bytes = scales.size();
  if (dtype == DType::kF8E8M0 || dtype == DType::kU8) {
    facts.e8m0_nan = std::count(scales.begin(), scales.end(), std::byte{kE8m0Nan});
  }
  const size_t size = FloatSize(dtype);
  for (size_t i = 0; size != 0 && i + size <= scales.size(); i += size) {
    facts.bad_values += !IsUsableScale(FloatAt(dtype, scales.data() + i));
  }
  return facts;
}

}  // namespace vernier::audit
