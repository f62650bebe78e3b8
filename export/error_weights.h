// How much errors of weights count in the searches for scales.
#ifndef VERNIER_EXPORT_ERROR_WEIGHTS_H_
#define VERNIER_EXPORT_ERROR_WEIGHTS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/logical_weight.h"
#include "export/importance.h"
#include "export/local_hessians.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::exporter {

// Whether the plan searches the scales of this weight for the smallest error of all.
inline bool IsSearchedByError(const recipes::WeightPlan& weight) {
  return UsesImportance(weight) || weight.scale == recipes::ScaleMethod::kLocalHessian ||
         weight.scale == recipes::ScaleMethod::kGptq;
}

// Of one weight, as Nvfp4Options has them; empty where nothing is known or asked for.
struct ErrorWeight {
  std::vector<float> importance;     // [columns]
  std::vector<float> local_hessian;  // [columns / 16, 16, 16]

  // For a weight whose columns are multiplied by `factors` [columns], its inputs divided by them:
  // squares of an input are over the factor's square, and products over both factors. Empty: as
  // they are.
  void Rescale(std::span<const float> factors);
};

// Of all weights of a plan, each by its scale method. Thread-safe.
class ErrorWeights {
 public:
  // `store` must outlive it. Errors: those of FileImportance and CalibratedSums.
  ErrorWeights(const recipes::Recipe& recipe, const checkpoint::ModelLayout& layout,
               const recipes::Plan& plan, const run::Store& store);

  // Errors as above.
  ErrorWeight Of(const checkpoint::LogicalWeight& weight, recipes::ScaleMethod method) const;

  // How many of the weights that the plan searches by error have one. kBadRule as FileImportance
  // has it.
  int64_t CountUses(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) const;

  // Of all that results depend on; empty where nothing is weighted.
  std::string hash() const;
  // Where they come from: "none", "file" (of mse) or "calibration".
  std::string_view origin() const;
  std::vector<BlendedExpert> Blended() const;

 private:
  std::unique_ptr<const Importance> importance_;
  LocalHessians hessians_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_ERROR_WEIGHTS_H_
