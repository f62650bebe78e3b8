#include "run/input_amax.h"

#include <algorithm>

#include "calib/statistics/registry.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::run {

bool IsAmax(std::string_view statistic) {
  return std::ranges::find(kAmaxStatistics, statistic) != kAmaxStatistics.end();
}

std::optional<InputAmax> AmaxOf(const StatisticRow& row) {
  if (!IsAmax(row.name)) return std::nullopt;
  const statistics::Statistic& statistic =
      statistics::RequireStatistic(statistics::AllStatistics(), row.name, row.version, row.module);
  const statistics::Value value = statistics::Parse(statistic, row.bytes, row.module);
  return InputAmax{.module = row.module,
                   .layer = row.unit,
                   .amax = statistics::InputAmax::Amax(statistics::ElementsOf<float>(value)),
                   .tokens = value.tokens};
}

bool IsCacheName(std::string_view module) {
  return module.ends_with(checkpoint::kKeyCache) || module.ends_with(checkpoint::kValueCache) ||
         module.ends_with(checkpoint::kKeyValueCache);
}

std::vector<StatisticRow> AmaxRows(const std::vector<InputAmax>& inputs) {
  std::vector<StatisticRow> rows;
  for (const InputAmax& input : inputs) {
    const bool cache = IsCacheName(input.module);
    const statistics::Value value{input.tokens,
                                  statistics::PayloadOf<float>(std::span(&input.amax, 1))};
    rows.push_back(
        {.unit = input.layer,
         .module = input.module,
         .name = std::string(cache ? statistics::CacheAmax::kName : statistics::InputAmax::kName),
         .version = cache ? statistics::CacheAmax::kVersion : statistics::InputAmax::kVersion,
         .bytes = statistics::ToBytes(value)});
  }
  return rows;
}

}  // namespace vernier::run
