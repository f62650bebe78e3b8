// Per-input-channel weights of the error that a scale search minimises.
#ifndef VERNIER_EXPORT_IMPORTANCE_H_
#define VERNIER_EXPORT_IMPORTANCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/logical_weight.h"
#include "checkpoint/model_layout.h"
#include "export/calibrated_sums.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::exporter {

// A plain Importance weights nothing. Thread-safe.
class Importance {
 public:
  virtual ~Importance() = default;

  // The weight's vector, one finite number >= 0 per column; empty when there is none for it.
  virtual std::vector<float> Of(const checkpoint::LogicalWeight&) const { return {}; }

  // How many of the weights that UsesImportance is true of have a vector.
  virtual int64_t CountUses(const checkpoint::ModelLayout&, const recipes::Plan&) const {
    return 0;
  }

  // Of all that results depend on; empty where nothing is weighted.
  virtual std::string hash() const { return {}; }
  // Where vectors come from: "none", "file" or "calibration".
  virtual std::string_view origin() const { return "none"; }
  virtual std::vector<BlendedExpert> Blended() const { return {}; }
};

// Whether the plan searches the scales of this weight by squared error.
inline bool UsesImportance(const recipes::WeightPlan& weight) {
  return weight.scale == recipes::ScaleMethod::kMse;
}

// The recipe's file, or else what calibration observed, where the plan has a use of it. Errors:
// those of FileImportance and CalibratedSums.
std::unique_ptr<Importance> MakeImportance(const recipes::Recipe& recipe,
                                           const checkpoint::ModelLayout& layout,
                                           const recipes::Plan& plan, const run::Store& store);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_IMPORTANCE_H_
