// The amax values among a store's statistics: of linear layers' inputs and of what attention
// caches.
#ifndef VERNIER_RUN_INPUT_AMAX_H_
#define VERNIER_RUN_INPUT_AMAX_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/cache_amax.h"
#include "calib/statistics/input_amax.h"
#include "run/statistic_rows.h"

namespace vernier::run {

// The amax of one module's input, or of one cache, over all observed tokens.
struct InputAmax {
  std::string module;  // "layers.0.ffn.experts.3.w1", "model.layers.0.self_attn.k_cache"
  int layer = 0;
  float amax = 0;      // largest |x|; 0 when no token was seen
  int64_t tokens = 0;  // rows observed

  bool operator==(const InputAmax&) const = default;
};

// The statistics that AmaxOf makes something of.
inline constexpr std::array<std::string_view, 2> kAmaxStatistics = {statistics::InputAmax::kName,
                                                                    statistics::CacheAmax::kName};
bool IsAmax(std::string_view statistic);
// Nothing for another statistic. kStoreCorrupt when the row's bytes are not its statistic's.
std::optional<InputAmax> AmaxOf(const StatisticRow& row);

// Whether a module's name is that of a cache: KvCacheEntry::observed of every family ends so.
bool IsCacheName(std::string_view module);
// The rows that AmaxOf makes these of.
std::vector<StatisticRow> AmaxRows(const std::vector<InputAmax>& inputs);

}  // namespace vernier::run

#endif  // VERNIER_RUN_INPUT_AMAX_H_
