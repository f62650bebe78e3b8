#include "calib/families/deepseek_v4/expert.h"

#include "calib/families/swiglu.h"

namespace vernier::calib::deepseek_v4 {

at::Tensor RunSwiglu(const at::Tensor& x, const ExpertWeights& weights, double limit,
                     const std::string& module, const TokenBatch& batch, Tap& tap) {
  const at::Tensor &w1 = weights.at(0), &w2 = weights.at(1), &w3 = weights.at(2);
  const auto run = [&](const char* part, const at::Tensor& weight, const at::Tensor& input) {
    return RunLinear(tap, {.module = module + part, .weight = weight}, batch, input);
  };
  const at::Tensor product = SwigluProduct(run(".w1", w1, x), run(".w3", w3, x), limit);
  return run(".w2", w2, product);
}

}  // namespace vernier::calib::deepseek_v4
