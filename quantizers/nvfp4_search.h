// The search for the block scale with the smallest squared error.
//
// Error of an E4M3 code: the sum, over the block's columns in order, of w * d^2, where d is the
// distance of q = |x| * r to the nearest E2M1 magnitude and r = RN(1 / E4M3(code)) *
// RN(1 / global_scale); times E4M3(code)^2. That is, in units of global_scale^2, which all codes
// share. In F32: d = RN(distance), sum = fma(w * d, d, sum).
//
// Of all codes 1..126 the one with the smallest error wins; of equals, the rule's code (E4M3 of
// amax / (6 * global_scale)) if it is among them, else the smallest. Few codes can win:
//
// Upper end. Take a scale s with amax / s <= 3.5. At s, values round to {0, 0.5, 1, 1.5, 2, 3} * s
// or to something as near (the tie at 3.5). All of these are on the grid of s / 2: no value is
// further from that grid, so that s / 2 has no larger error, whatever the weights, and is smaller.
// E4M3 has s / 2 for every code of at least 16, and for the even ones below. The search starts at
// the largest code with amax / s > 3.5, or at 15 if that is larger.
//
// Lower end. The eight codes from there on reach amax / s = 7. Further down the values beyond 6 s
// saturate and alone cost w * (|x| - 6 s)^2 each, more with every step: the search ends where the
// largest of these costs exceeds the smallest error. In F32 both bounds hold as well, since
// rounding is monotonic and halving exact; but of values some 2^20 times what the largest scale
// holds, every code costs the same up to rounding. There the end of the search is part of the
// definition: no code below it counts.
#ifndef VERNIER_QUANTIZERS_NVFP4_SEARCH_H_
#define VERNIER_QUANTIZERS_NVFP4_SEARCH_H_

#include <array>
#include <cstddef>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {

inline constexpr int kMinScaleCode = 0x01;
inline constexpr int kMaxScaleCode = 0x7E;
inline constexpr int kMinSearchStart = 15;

// amax / 3.5 over amax / 6, rounded up: the search may start a code too high but not too low.
inline constexpr float kSearchStartFactor = 1.714287f;

// RN(1 / E4M3(code)) for codes 0x01..0x7E.
inline constexpr std::array<float, 127> kE4m3Reciprocals = [] {
  std::array<float, 127> reciprocals{};
  for (size_t code = 1; code < reciprocals.size(); ++code) {
    reciprocals[code] = 1.0f / kE4m3Values[code];
  }
  return reciprocals;
}();

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_NVFP4_SEARCH_H_
