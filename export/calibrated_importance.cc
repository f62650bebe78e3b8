#include "export/calibrated_importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "calib/statistics/registry.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using statistics::InputSquareSum;

// Weights `own` by its tokens and the mean of `all` by those that are missing to kFewTokens.
std::vector<double> Blend(const statistics::Observed<double>& own,
                          const statistics::Observed<double>& all) {
  std::vector<double> means = InputSquareSum::MeanSquares(all);
  if (own.tokens == 0) return means;
  const auto few = static_cast<double>(kFewTokens);
  const double missing = few - static_cast<double>(own.tokens);
  for (size_t i = 0; i < means.size(); ++i) {
    means[i] = (own.elements[i] + missing * means[i]) / few;
  }
  return means;
}

// With a largest number of 1; empty when all are 0.
std::vector<float> Scaled(const std::vector<double>& values) {
  const double largest = values.empty() ? 0 : std::ranges::max(values);
  if (largest == 0) return {};
  std::vector<float> scaled(values.size());
  std::ranges::transform(values, scaled.begin(),
                         [&](double value) { return static_cast<float>(value / largest); });
  return scaled;
}

}  // namespace

CalibratedImportance::CalibratedImportance(const ModelLayout& layout, const recipes::Plan& plan,
                                           const run::Store& store)
    : store_(store) {
  FindSums(layout, plan);
  AddUpExperts(layout);
  if (sums_.empty()) return;
  Hasher hasher;
  for (const auto& [module, source] : sums_) {
    hasher.Update(fmt::format("{} {}\n", module, source.key.hash));
    hasher.Update(source.bytes);
  }
  hash_ = hasher.Hex();
}

void CalibratedImportance::FindSums(const ModelLayout& layout, const recipes::Plan& plan) {
  for (run::StatisticKey& key : run::ListStatistics(store_.database())) {
    if (key.name != InputSquareSum::kName) continue;
    const auto weight = layout.by_module.find(key.module);
    if (weight == layout.by_module.end() || !IsSearched(plan.weights[weight->second])) continue;
    Source source{.key = key, .bytes = {}};
    if (key.file.empty()) source.bytes = run::ReadStatistic(store_, key);
    sums_.emplace(key.module, std::move(source));
  }
}

void CalibratedImportance::AddUpExperts(const ModelLayout& layout) {
  for (const auto& [module, source] : sums_) {
    const LogicalWeight& weight = layout.weights[layout.by_module.at(module)];
    if (weight.expert < 0) continue;
    const Sums own = SumsOf(weight, source);
    if (own.tokens < kFewTokens) blended_.push_back({module, own.tokens});
    Sums& all = of_all_[KindOf(weight)];
    all.elements.resize(static_cast<size_t>(weight.columns()));
    if (!own.elements.empty()) InputSquareSum::Merge(all, own);
    all.tokens += own.tokens;
  }
}

CalibratedImportance::ExpertKind CalibratedImportance::KindOf(const LogicalWeight& weight) {
  return {weight.layer, weight.module.substr(weight.module.rfind('.') + 1)};
}

CalibratedImportance::Sums CalibratedImportance::SumsOf(const LogicalWeight& weight,
                                                        const Source& source) const {
  const std::string origin = store_.run_dir().string();
  const statistics::Statistic& statistic = statistics::RequireStatistic(
      statistics::AllStatistics(), source.key.name, source.key.version, origin);
  const statistics::Bytes bytes =
      source.key.file.empty() ? source.bytes : run::ReadStatistic(store_, source.key);
  Sums sums = statistics::ElementsOf<double>(statistics::Parse(statistic, bytes, origin));
  if (sums.elements.size() == static_cast<size_t>(weight.columns())) return sums;
  if (sums.elements.empty() && sums.tokens == 0) return sums;
  throw Error(ErrorCode::kStoreCorrupt, origin,
              fmt::format("it has {} sums of squares of {}, which has {} columns",
                          sums.elements.size(), weight.module, weight.columns()),
              "Calibrate again in another run directory");
}

std::vector<float> CalibratedImportance::Of(const LogicalWeight& weight) const {
  const auto found = sums_.find(weight.module);
  if (found == sums_.end()) return {};
  const Sums own = SumsOf(weight, found->second);
  if (weight.expert >= 0 && own.tokens < kFewTokens) {
    return Scaled(Blend(own, of_all_.at(KindOf(weight))));
  }
  return Scaled(InputSquareSum::MeanSquares(own));
}

int64_t CalibratedImportance::CountUses(const ModelLayout&, const recipes::Plan&) const {
  return static_cast<int64_t>(sums_.size());
}

}  // namespace vernier::exporter
