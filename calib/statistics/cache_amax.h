// The largest absolute value of what attention caches: keys, values, or the one vector that is
// both.
#ifndef VERNIER_CALIB_STATISTICS_CACHE_AMAX_H_
#define VERNIER_CALIB_STATISTICS_CACHE_AMAX_H_

#include <string_view>

#include "calib/statistics/input_amax.h"

namespace vernier::statistics {

struct CacheAmax : InputAmax {
  static constexpr std::string_view kName = "cache_amax";
  static constexpr int kVersion = 1;
  static constexpr Site kSite = Site::kCache;
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_CACHE_AMAX_H_
