#include "export/error_weights.h"

namespace vernier::exporter {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using recipes::ScaleMethod;

void ErrorWeight::Rescale(std::span<const float> factors) {
  if (factors.empty()) return;
  for (size_t i = 0; i < importance.size(); ++i) importance[i] /= factors[i] * factors[i];
  constexpr size_t kBlock = statistics::InputBlockHessian::kBlock;
  for (size_t i = 0; i < local_hessian.size(); ++i) {
    const size_t block = i / (kBlock * kBlock) * kBlock;
    const float row = factors[block + i / kBlock % kBlock], column = factors[block + i % kBlock];
    local_hessian[i] /= row * column;
  }
}

ErrorWeights::ErrorWeights(const recipes::Recipe& recipe, const ModelLayout& layout,
                           const recipes::Plan& plan, const run::Store& store)
    : importance_(MakeImportance(recipe, layout, plan, store)), hessians_(layout, plan, store) {}

ErrorWeight ErrorWeights::Of(const LogicalWeight& weight, ScaleMethod method) const {
  ErrorWeight of;
  if (method == ScaleMethod::kMse) of.importance = importance_->Of(weight);
  const bool by_blocks = method == ScaleMethod::kLocalHessian || method == ScaleMethod::kGptq;
  if (by_blocks) of.local_hessian = hessians_.Of(weight);
  return of;
}

int64_t ErrorWeights::CountUses(const ModelLayout& layout, const recipes::Plan& plan) const {
  return importance_->CountUses(layout, plan) + hessians_.size();
}

std::string ErrorWeights::hash() const { return importance_->hash() + hessians_.hash(); }

std::string_view ErrorWeights::origin() const {
  if (importance_->origin() == "none" && hessians_.size() > 0) return "calibration";
  return importance_->origin();
}

std::vector<BlendedExpert> ErrorWeights::Blended() const {
  std::vector<BlendedExpert> blended = importance_->Blended();
  blended.insert(blended.end(), hessians_.blended().begin(), hessians_.blended().end());
  return blended;
}

}  // namespace vernier::exporter
