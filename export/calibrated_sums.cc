#include "export/calibrated_sums.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "calib/statistics/registry.h"

namespace vernier::exporter {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;

template <class S>
CalibratedSums<S>::CalibratedSums(const ModelLayout& layout, const recipes::Plan& plan,
                                  const run::Store& store, const Wanted& wanted)
    : store_(store) {
  FindSums(layout, plan, wanted);
  AddUpExperts(layout);
  if (sums_.empty()) return;
  Hasher hasher;
  for (const auto& [module, source] : sums_) {
    hasher.Update(fmt::format("{} {}\n", module, source.key.hash));
    hasher.Update(source.bytes);
  }
  hash_ = hasher.Hex();
}

template <class S>
void CalibratedSums<S>::FindSums(const ModelLayout& layout, const recipes::Plan& plan,
                                 const Wanted& wanted) {
  for (run::StatisticKey& key : run::ListStatistics(store_.database())) {
    if (key.name != S::kName) continue;
    const auto weight = layout.by_module.find(key.module);
    if (weight == layout.by_module.end() || !wanted(plan.weights[weight->second])) continue;
    Source source{.key = key, .bytes = {}};
    if (key.file.empty()) source.bytes = run::ReadStatistic(store_, key);
    sums_.emplace(key.module, std::move(source));
  }
}

template <class S>
void CalibratedSums<S>::AddUpExperts(const ModelLayout& layout) {
  std::set<ExpertKind> with_blended;
  for (const auto& [module, source] : sums_) {
    const LogicalWeight& weight = layout.weights[layout.by_module.at(module)];
    if (weight.expert < 0) continue;
    const Sums own = SumsOf(weight, source);
    if (own.tokens < kFewTokens) {
      blended_.push_back({module, own.tokens});
      with_blended.insert(KindOf(weight));
    }
    Sums& all = of_all_[KindOf(weight)];
    all.elements.resize(S::Elements(static_cast<size_t>(weight.columns())));
    if (!own.elements.empty()) S::Merge(all, own);
    all.tokens += own.tokens;
  }
  std::erase_if(of_all_, [&](const auto& kind) { return !with_blended.contains(kind.first); });
}

template <class S>
typename CalibratedSums<S>::ExpertKind CalibratedSums<S>::KindOf(const LogicalWeight& weight) {
  return {weight.layer, weight.projection};
}

template <class S>
typename CalibratedSums<S>::Sums CalibratedSums<S>::SumsOf(const LogicalWeight& weight,
                                                           const Source& source) const {
  const std::string origin = store_.run_dir().string();
  const statistics::Statistic& statistic = statistics::RequireStatistic(
      statistics::AllStatistics(), source.key.name, source.key.version, origin);
  const statistics::Bytes bytes =
      source.key.file.empty() ? source.bytes : run::ReadStatistic(store_, source.key);
  Sums sums =
      statistics::ElementsOf<typename S::Element>(statistics::Parse(statistic, bytes, origin));
  if (sums.elements.size() == S::Elements(static_cast<size_t>(weight.columns()))) return sums;
  if (sums.elements.empty() && sums.tokens == 0) return sums;
  throw Error(ErrorCode::kStoreCorrupt, origin,
              fmt::format("it has {} numbers of {} for {}, which has {} columns",
                          sums.elements.size(), S::kName, weight.module, weight.columns()),
              "Calibrate again in another run directory");
}

// A blend weights a weight's own sums by its tokens and the mean of all by those that are missing.
template <class S>
std::vector<double> CalibratedSums<S>::MeansOf(const LogicalWeight& weight) const {
  const auto found = sums_.find(weight.module);
  if (found == sums_.end()) return {};
  const Sums own = SumsOf(weight, found->second);
  if (weight.expert < 0 || own.tokens >= kFewTokens) return S::Means(own);
  std::vector<double> means = S::Means(of_all_.at(KindOf(weight)));
  if (own.tokens == 0) return means;
  const auto few = static_cast<double>(kFewTokens);
  const double missing = few - static_cast<double>(own.tokens);
  for (size_t i = 0; i < means.size(); ++i) {
    means[i] = (static_cast<double>(own.elements[i]) + missing * means[i]) / few;
  }
  return means;
}

template class CalibratedSums<statistics::InputSquareSum>;
template class CalibratedSums<statistics::InputBlockHessian>;

}  // namespace vernier::exporter
