// MXFP4: E2M1 nibbles and one E8M0 scale per 32 columns; and its closed-form cast to NVFP4.
// An E8M0 byte of 0xFF (NaN) among the inputs is a programming error: callers check sources.
#ifndef VERNIER_QUANTIZERS_MXFP4_H_
#define VERNIER_QUANTIZERS_MXFP4_H_

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

inline constexpr int64_t kMxfp4BlockSize = 32;

// How far below the largest exponent a block may lie for the cast to keep its values: E4M3 holds
// the powers of two from 2^-9 to 2^8.
inline constexpr int kLosslessExponentRange = 17;

enum class Mxfp4Search {
  kMax,  // the least exponent under which nothing saturates
  kMse,  // the exponent with the least squared error
};

// Quantises rows of `columns` values (row-major; columns % 32 == 0).
//   packed [rows * columns / 2]: even column in the low nibble. Nearest E2M1, ties towards zero;
//     every value that is not above zero has the sign bit, so zeros become nibble 8 (ModelOpt,
//     mxfp4_tensor.py)
//   e8m0 [rows * columns / 32]: with kMax 127 + ceil(log2(amax / 6)), at least 0; a block of zeros
//     gets 0. Computed without rounding: ModelOpt's F32 log2 agrees except for F32 inputs whose
//     amax lies less than one part in 10^5 above 6 * 2^e, which it saturates.
// Search kMse minimises the sum of importance * (value - dequantised)^2 of each block.
//   importance [columns]: finite weights >= 0 for kMse; empty stands for ones. kMax does not
//     depend on it.
// No exponent above kMax's e is better, whatever the weights: E2M1's values times 2^(e+1) up to 6 *
// 2^e are among its values times 2^e. Without weights only e and e - 1 can be best: in units of 2^e
// an element above 1.5 gains nothing from e - 2, for 1.5 is itself a value under e, and each of the
// 31 others gains at most 0.25^2, but the largest, above 3, loses at least 1.5^2 > 31 * 0.25^2; the
// loss only grows below. With weights the search goes down until what saturates alone costs more
// than the best error, 100 exponents at most. Of equal errors the larger exponent wins.
// Inf and NaN are a programming error (callers check sources), but even then no NaN is written:
// their nibbles saturate and the scale byte is at most 254.
void QuantizeMxfp4(RealSpan values, int64_t columns, Mxfp4Search search,
                   std::span<const float> importance, std::span<uint8_t> packed,
                   std::span<uint8_t> e8m0);

// values[i] = E2M1(nibble) * 2^(e8m0 - 127), exact in both types. packed [rows * columns / 2], low
// nibble = even column; e8m0 [rows * columns / 32].
void DequantizeMxfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                     int64_t columns, MutableRealSpan values);

// The largest unbiased exponent of a tensor's blocks, exponent byte 0 left out (ModelOpt
// numeric_utils.py). Of a fused group, or of a tensor read in pieces, the merged maximum counts.
struct MaxExponent {
  bool any = false;  // false: no block had an exponent byte above 0
  int exponent = 0;

  void Merge(const MaxExponent& other);
  int ValueOrZero() const { return any ? exponent : 0; }
};
MaxExponent FindMaxExponent(std::span<const uint8_t> e8m0);

// Global scale of the lossless cast: 2^(k_max - 8), so that the block with the largest exponent
// gets the E4M3 scale 2^8.
float LosslessGlobalScale(int k_max);

struct CastStats {
  int64_t blocks = 0;       // MXFP4 blocks of 32
  int64_t requantised = 0;  // blocks whose exponent is more than 17 below k_max: re-encoded
  int64_t inexact = 0;      // those among them whose values changed

  void Merge(const CastStats& other);
};

// MXFP4 -> NVFP4 with global scale 2^(k_max-8); no exponent may exceed k_max. A block within 17 of
// k_max keeps its values exactly: both of its 16-blocks get scale 2^(k-(k_max-8)). A block further
// down, an all-zero block among them, is re-encoded with the smallest E4M3 scale, 2^-9 (ModelOpt
// does the same). Source nibble 8 (negative zero) becomes 0; a negative that re-encoding rounds to
// zero becomes 8.
//   packed [rows * columns / 2], e8m0 [rows * columns / 32],
//   packed_out [rows * columns / 2], scales_out [rows * columns / 16]; packed_out may be packed
CastStats CastMxfp4ToNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                           int64_t columns, int k_max, std::span<uint8_t> packed_out,
                           std::span<uint8_t> scales_out);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_MXFP4_H_
