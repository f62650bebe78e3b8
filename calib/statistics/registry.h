// The statistics that there are. To add one: its file, an #include and a name in this list.
#ifndef VERNIER_CALIB_STATISTICS_REGISTRY_H_
#define VERNIER_CALIB_STATISTICS_REGISTRY_H_

#include <array>
#include <span>
#include <string_view>

#include "calib/statistics/block_share.h"
#include "calib/statistics/cache_amax.h"
#include "calib/statistics/input_amax.h"
#include "calib/statistics/input_block_hessian.h"
#include "calib/statistics/input_channel_amax.h"
#include "calib/statistics/input_hessian.h"
#include "calib/statistics/input_sample.h"
#include "calib/statistics/input_square_sum.h"
#include "calib/statistics/statistic.h"

namespace vernier::statistics {

template <IsStatistic... S>
struct List {};

using All = List<InputAmax, CacheAmax, BlockShare, InputSquareSum, InputBlockHessian,
                 InputChannelAmax, InputHessian, InputSample>;

// Those that a program works with. Its rows live as long as the program.
using Registry = std::span<const Statistic>;

template <IsStatistic... S>
constexpr std::array<Statistic, sizeof...(S)> DescribeAll(List<S...>) {
  return {Describe<S>()...};
}

Registry AllStatistics();

// Nothing when there is none of this name.
const Statistic* FindStatistic(Registry registry, std::string_view name);

// kStoreCorrupt naming `origin`, where the value comes from, when there is none of this name and
// version: a newer program made it.
const Statistic& RequireStatistic(Registry registry, std::string_view name, int version,
                                  std::string_view origin);

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_REGISTRY_H_
