// Conversions of whole spans between F32 and the 16-bit float formats. Each equals the scalar
// definition in quantizers/float_formats.h for every bit pattern.
#ifndef VERNIER_QUANTIZERS_BF16_H_
#define VERNIER_QUANTIZERS_BF16_H_

#include <cstdint>
#include <span>

namespace vernier::quantizers {

// Source and target have the same size and do not overlap.
// Rounds to nearest even; a value beyond BF16's range becomes an infinity, NaN stays a quiet NaN.
void FloatToBf16(std::span<const float> values, std::span<uint16_t> bf16);
void Bf16ToFloat(std::span<const uint16_t> bf16, std::span<float> values);
// NaN keeps its payload, signalling or not.
void F16ToFloat(std::span<const uint16_t> f16, std::span<float> values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_BF16_H_
