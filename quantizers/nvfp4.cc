#include "quantizers/nvfp4.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {

float Nvfp4GlobalScale(float amax, Nvfp4Search search) {
  assert(std::isfinite(amax) && amax >= 0.0f);
  // 1.75 * 256 is the largest E4M3 value.
  constexpr float kSearchMax = 256.0f;
  const float largest_scale = search == Nvfp4Search::kMax ? kE4m3Max : kSearchMax;
  if (amax == 0.0f) return 1.0f;
  return std::max(amax / (kE2m1Max * largest_scale), kNvfp4MinGlobalScale);
}

}  // namespace vernier::quantizers
