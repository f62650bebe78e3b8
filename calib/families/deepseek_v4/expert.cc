#include "calib/families/deepseek_v4/expert.h"

namespace vernier::calib::deepseek_v4 {

at::Tensor RunSwiglu(const at::Tensor& x, const ExpertWeights& weights, double limit,
                     const std::string& module, const TokenBatch& batch, InputObserver& observer) {
  const at::Tensor &w1 = weights.at(0), &w2 = weights.at(1), &w3 = weights.at(2);
  const auto run = [&](const char* part, const at::Tensor& weight, const at::Tensor& input) {
    return RunLinear(observer, {.module = module + part, .weight = weight}, batch, input);
  };
  const at::Tensor gate = run(".w1", w1, x).to(at::kFloat).clamp_max(limit);
  const at::Tensor up = run(".w3", w3, x).to(at::kFloat).clamp(-limit, limit);
  const at::Tensor product = (at::silu(gate) * up).to(x.scalar_type());
  return run(".w2", w2, product);
}

}  // namespace vernier::calib::deepseek_v4
