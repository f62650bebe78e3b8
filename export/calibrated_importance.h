// Importance by what calibration observed: E[x^2] of each input channel, which is what the squared
// error of a weight there adds to the squared error of the output, channels taken as independent.
#ifndef VERNIER_EXPORT_CALIBRATED_IMPORTANCE_H_
#define VERNIER_EXPORT_CALIBRATED_IMPORTANCE_H_

#include <string>
#include <string_view>
#include <vector>

#include "export/calibrated_sums.h"
#include "export/importance.h"

namespace vernier::exporter {

// Of modules of which the store has sums of squares. Vectors are scaled to a largest number of 1:
// a search compares errors of one weight only.
class CalibratedImportance final : public Importance {
 public:
  // As CalibratedSums has it.
  CalibratedImportance(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                       const run::Store& store)
      : sums_(layout, plan, store, UsesImportance) {}

  std::vector<float> Of(const checkpoint::LogicalWeight& weight) const override;
  int64_t CountUses(const checkpoint::ModelLayout&, const recipes::Plan&) const override {
    return sums_.size();
  }
  std::string hash() const override { return sums_.hash(); }
  std::string_view origin() const override { return sums_.size() == 0 ? "none" : "calibration"; }
  std::vector<BlendedExpert> Blended() const override { return sums_.blended(); }

 private:
  CalibratedSums<statistics::InputSquareSum> sums_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_CALIBRATED_IMPORTANCE_H_
