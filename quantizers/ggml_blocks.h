// Blocks in which llama.cpp keeps codes and scales together (ggml-common.h), and Q8_0's numbers.
#ifndef VERNIER_QUANTIZERS_GGML_BLOCKS_H_
#define VERNIER_QUANTIZERS_GGML_BLOCKS_H_

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

inline constexpr int64_t kQ8ZeroBlockSize = 32;
inline constexpr int64_t kGgmlNvfp4BlockSize = 64;  // four of NVFP4's

// Quantises blocks of 32 values as ggml's quantize_row_q8_0_ref: d = amax / 127 in F32, codes are
// value * (1 / d) to the nearest integer, ties away from zero (0 for a block of zeros).
//   codes [values] I8; scales [values / 32]: d as F16
void QuantizeQ8Zero(RealSpan values, std::span<uint8_t> codes, std::span<uint8_t> scales);

// Codes and scales of any number of blocks, one after the other.
//   Q8_0, 34 bytes: the scale, then 32 codes
void PackGgmlQ8Zero(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                    std::span<uint8_t> blocks);
//   MXFP4, 17 bytes: E8M0, then 16 bytes of which byte i holds value i (low nibble) and value
//   i + 16
void PackGgmlMxfp4(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                   std::span<uint8_t> blocks);
//   NVFP4, 36 bytes: four E4M3 without signs, then 8 bytes for each 16 values of which byte i holds
//   value i and value i + 8
void PackGgmlNvfp4(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                   std::span<uint8_t> blocks);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_GGML_BLOCKS_H_
