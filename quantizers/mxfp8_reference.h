// The obvious, slow definition of MXFP8; mxfp8.h describes it and its fast functions equal it bit
// for bit. `Real` is float, or uint16_t for BF16.
#ifndef VERNIER_QUANTIZERS_MXFP8_REFERENCE_H_
#define VERNIER_QUANTIZERS_MXFP8_REFERENCE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/fp8_reference.h"
#include "quantizers/mxfp8.h"

namespace vernier::quantizers::reference {

template <typename Real>
void QuantizeMxfp8(std::span<const Real> values, std::span<uint8_t> codes,
                   std::span<uint8_t> e8m0) {
  constexpr size_t kBlock = kMxfp8BlockSize;
  for (size_t block = 0; block < e8m0.size(); ++block) {
    e8m0[block] = Fp8ExponentByte(AmaxBits(values.data() + block * kBlock, kBlock));
    const float inverse_scale = InverseE8m0(e8m0[block]);
    for (size_t i = block * kBlock; i < (block + 1) * kBlock; ++i) {
      const float value = Widen(values[i]);
      codes[i] = EncodeFp8(value, std::bit_cast<float>(MagnitudeBits(value)) * inverse_scale);
    }
  }
}

template <typename Real>
void DequantizeMxfp8(std::span<const uint8_t> codes, std::span<const uint8_t> e8m0,
                     std::span<Real> values) {
  for (size_t i = 0; i < codes.size(); ++i) {
    const float scale = E8m0ToFloat(e8m0[i / kMxfp8BlockSize]);
    Narrow(E4m3ToFloat(codes[i]) * scale, values[i]);
  }
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_MXFP8_REFERENCE_H_
