#include "calib/families/deepseek_v4/expert.h"

#include "calib/families/linear.h"

namespace vernier::calib::deepseek_v4 {

at::Tensor RunSwiglu(const at::Tensor& x, const ExpertWeights& weights, double limit,
                     const std::string& module, const TokenBatch& batch, InputObserver& observer) {
  const at::Tensor &w1 = weights.at(0), &w2 = weights.at(1), &w3 = weights.at(2);
  ObserveReal(observer, module + ".w1", batch, x);
  ObserveReal(observer, module + ".w3", batch, x);
  const at::Tensor gate = Linear(x, w1).to(at::kFloat).clamp_max(limit);
  const at::Tensor up = Linear(x, w3).to(at::kFloat).clamp(-limit, limit);
  const at::Tensor product = (at::silu(gate) * up).to(x.scalar_type());
  ObserveReal(observer, module + ".w2", batch, product);
  return Linear(product, w2);
}

}  // namespace vernier::calib::deepseek_v4
