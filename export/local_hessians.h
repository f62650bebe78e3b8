// Local Hessians of what calibration observed: E[x_b x_b^T] of each block b of 16 input channels,
// by which an error of a row's 16 weights adds e^T H e to the squared error of the output, blocks
// taken as independent.
#ifndef VERNIER_EXPORT_LOCAL_HESSIANS_H_
#define VERNIER_EXPORT_LOCAL_HESSIANS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "export/calibrated_sums.h"

namespace vernier::exporter {

// Of weights that the plan scales by kLocalHessian, or by kGptq where calibration leaves them to
// the export, and of which the store has sums.
class LocalHessians {
 public:
  // As CalibratedSums has it; kNotCalibrated when there are none at all and the plan needs some.
  LocalHessians(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                const run::Store& store);

  // [columns / 16, 16, 16], with a largest element of 1; empty when nothing is known. The weight
  // has whole blocks.
  std::vector<float> Of(const checkpoint::LogicalWeight& weight) const;

  int64_t size() const { return sums_.size(); }
  const std::string& hash() const { return sums_.hash(); }
  const std::vector<BlendedExpert>& blended() const { return sums_.blended(); }

 private:
  CalibratedSums<statistics::InputBlockHessian> sums_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_LOCAL_HESSIANS_H_
