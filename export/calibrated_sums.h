// What calibration summed up over a weight's inputs, as means over tokens.
#ifndef VERNIER_EXPORT_CALIBRATED_SUMS_H_
#define VERNIER_EXPORT_CALIBRATED_SUMS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "calib/statistics/input_block_hessian.h"
#include "calib/statistics/input_square_sum.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/model_layout.h"
#include "recipes/plan.h"
#include "run/statistic_rows.h"
#include "run/store.h"

namespace vernier::exporter {

// Tokens below which a routed expert's own mean says more about chance than about the expert. It
// then counts with its tokens, and the mean over all tokens of all experts of its layer and
// projection with those that are missing.
inline constexpr int64_t kFewTokens = 256;

// A routed expert that saw few tokens: its means are mostly those of its layer's experts.
struct BlendedExpert {
  std::string module;
  int64_t tokens = 0;
};

// Of the modules of which the store has statistic S. Thread-safe.
template <class S>
class CalibratedSums {
 public:
  using Wanted = std::function<bool(const recipes::WeightPlan& weight)>;
  // Of weights that are `wanted`. Reads the sums of all routed experts among them. `store` must
  // outlive it. kStoreCorrupt, also when sums do not fit their weight's columns.
  CalibratedSums(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                 const run::Store& store, const Wanted& wanted);

  // A mean for each element; empty when nothing is known of the weight.
  std::vector<double> MeansOf(const checkpoint::LogicalWeight& weight) const;

  // Weights that have means.
  int64_t size() const { return static_cast<int64_t>(sums_.size()); }
  // Of all sums; empty where there are none.
  const std::string& hash() const { return hash_; }
  const std::vector<BlendedExpert>& blended() const { return blended_; }

 private:
  using Sums = statistics::Observed<typename S::Element>;
  // A layer's experts' weights of one projection.
  using ExpertKind = std::pair<int, std::string>;
  struct Source {
    run::StatisticKey key;
    statistics::Bytes bytes;  // of values that lie in the database, which threads cannot share
  };

  static ExpertKind KindOf(const checkpoint::LogicalWeight& weight);
  // kStoreCorrupt unless the weight has the sums of its columns, or none over no tokens.
  Sums SumsOf(const checkpoint::LogicalWeight& weight, const Source& source) const;
  void FindSums(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                const Wanted& wanted);
  void AddUpExperts(const checkpoint::ModelLayout& layout);

  const run::Store& store_;
  std::map<std::string, Source> sums_;  // by module
  std::map<ExpertKind, Sums> of_all_;   // over all experts, where one is blended
  std::vector<BlendedExpert> blended_;
  std::string hash_;
};

extern template class CalibratedSums<statistics::InputSquareSum>;
extern template class CalibratedSums<statistics::InputBlockHessian>;

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_CALIBRATED_SUMS_H_
