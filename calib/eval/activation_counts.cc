#include "calib/eval/activation_counts.h"

#include <algorithm>
#include <map>
#include <string>

#include "calib/activation_format.h"
#include "calib/kv_caches.h"

namespace vernier::calib {
namespace {

ActivationFormat FormatOf(const checkpoint::SourceModel& model,
                          const checkpoint::LogicalWeight& weight) {
  const ActivationQuantization found = ReadActivationQuantization(model.checkpoint, weight);
  const bool replaced = weight.layer >= 0;
  return found.Quantizes() && !replaced ? ActivationFormat::kNotEmulated : found.format;
}

bool Quantizes(std::string_view format) {
  return format != ActivationFormatName(ActivationFormat::kUnquantized) &&
         format != ActivationFormatName(ActivationFormat::kNotEmulated);
}

}  // namespace

std::vector<ActivationCount> CountActivations(const checkpoint::SourceModel& model) {
  std::map<ActivationFormat, ActivationCount> counts;
  for (const checkpoint::LogicalWeight& weight : model.layout.weights) {
    const bool runs =
        weight.role != checkpoint::Role::kMtp && weight.role != checkpoint::Role::kTower;
    if (!weight.quantisable() || !runs) continue;
    const ActivationFormat format = FormatOf(model, weight);
    ActivationCount& count = counts[format];
    if (count.modules == 0) {
      count.format = ActivationFormatName(format);
      count.example = weight.module;
    }
    ++count.modules;
  }
  std::vector<ActivationCount> all;
  for (auto& [format, count] : counts) all.push_back(std::move(count));
  return all;
}

int64_t CountCaches(const checkpoint::SourceModel& model, ActivationFormat format) {
  return std::ranges::count_if(
      ReadKvCaches(model), [format](const auto& cache) { return cache.second.format == format; });
}

bool EmulatesActivations(const checkpoint::SourceModel& model) {
  const std::vector<ActivationCount> counts = CountActivations(model);
  return !ReadKvCaches(model).empty() ||
         std::ranges::any_of(counts,
                             [](const ActivationCount& count) { return Quantizes(count.format); });
}

}  // namespace vernier::calib
