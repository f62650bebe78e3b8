#include "calib/families/deepseek_v4/expert.h"

#include <string_view>

#include "calib/families/swiglu.h"

namespace vernier::calib::deepseek_v4 {

at::Tensor RunSwiglu(const at::Tensor& x, const ExpertWeights& weights, double limit,
                     const std::string& module, const TokenBatch& batch, Tap& tap) {
  const at::Tensor &w1 = weights.at(0), &w2 = weights.at(1), &w3 = weights.at(2);
  namespace names = checkpoint::deepseek_v4;
  const auto run = [&](std::string_view part, const at::Tensor& weight, const at::Tensor& input) {
    const std::string name = names::Below(module, part);
    return RunLinear(tap, {.module = name, .weight = weight}, batch, input);
  };
  const at::Tensor product = SwigluProduct(run(names::kW1, w1, x), run(names::kW3, w3, x), limit);
  return run(names::kW2, w2, product);
}

}  // namespace vernier::calib::deepseek_v4
