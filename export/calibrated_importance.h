// Importance by what calibration observed: E[x^2] of each input channel, which is what the squared
// error of a weight there adds to the squared error of the output, channels taken as independent.
#ifndef VERNIER_EXPORT_CALIBRATED_IMPORTANCE_H_
#define VERNIER_EXPORT_CALIBRATED_IMPORTANCE_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calib/statistics/input_square_sum.h"
#include "export/importance.h"
#include "run/statistic_rows.h"

namespace vernier::exporter {

// Tokens below which a routed expert's own E[x^2] says more about chance than about the expert. It
// then counts with its tokens, and the mean over all tokens of all experts of its layer and
// projection with those that are missing.
inline constexpr int64_t kFewTokens = 256;

// Of modules of which the store has sums of squares. Vectors are scaled to a largest number of 1:
// a search compares errors of one weight only.
class CalibratedImportance final : public Importance {
 public:
  // Reads the sums of all routed experts. `store` must outlive it. kStoreCorrupt, also when sums
  // are not one per column.
  CalibratedImportance(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                       const run::Store& store);

  std::vector<float> Of(const checkpoint::LogicalWeight& weight) const override;
  int64_t CountUses(const checkpoint::ModelLayout& layout,
                    const recipes::Plan& plan) const override;
  std::string hash() const override { return hash_; }
  std::string_view origin() const override { return sums_.empty() ? "none" : "calibration"; }
  std::vector<BlendedImportance> Blended() const override { return blended_; }

 private:
  using Sums = statistics::Observed<double>;
  // A layer's experts' weights of one projection.
  using ExpertKind = std::pair<int, std::string>;
  struct Source {
    run::StatisticKey key;
    statistics::Bytes bytes;  // of values that lie in the database, which threads cannot share
  };

  static ExpertKind KindOf(const checkpoint::LogicalWeight& weight);
  // kStoreCorrupt unless the weight has a sum for each column, or none over no tokens.
  Sums SumsOf(const checkpoint::LogicalWeight& weight, const Source& source) const;
  void FindSums(const checkpoint::ModelLayout& layout, const recipes::Plan& plan);
  void AddUpExperts(const checkpoint::ModelLayout& layout);

  const run::Store& store_;
  std::map<std::string, Source> sums_;  // by module
  std::map<ExpertKind, Sums> of_all_;   // over all experts
  std::vector<BlendedImportance> blended_;
  std::string hash_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_CALIBRATED_IMPORTANCE_H_
