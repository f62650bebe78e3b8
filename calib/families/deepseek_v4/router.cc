#include "calib/families/deepseek_v4/router.h"

#include <string>

#include "calib/families/linear.h"
#include "calib/families/top_k.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {

Router::Router(const TensorLoader& loader, int64_t layer,
               const checkpoint::DeepseekV4Config& config)
    : top_k_(config.num_experts_per_tok),
      normalize_(config.norm_topk_prob),
      scaling_factor_(config.routed_scaling_factor) {
  namespace names = checkpoint::deepseek_v4;
  const std::string module = names::Below(names::Ffn(layer), names::kRouter);
  weight_ = loader.Load(module + ".weight");
  if (config.block(layer).hashes()) {
    tid2eid_ = loader.LoadExact(names::Below(module, names::kTokenExperts));
  } else {
    bias_ = loader.LoadExact(module + ".bias");
  }
}

Routing Router::Route(const at::Tensor& x, const at::Tensor& ids) const {
  const at::Tensor scores = at::softplus(LinearF32(x, weight_)).sqrt();
  const at::Tensor experts =
      tid2eid_.defined() ? tid2eid_.index_select(0, ids) : TopIndices(scores + bias_, top_k_);
  at::Tensor weights = scores.gather(1, experts);
  if (normalize_) {
    constexpr double kNoDivisionByZero = 1e-20;
    weights = weights / (weights.sum(1, /*keepdim=*/true) + kNoDivisionByZero);
  }
  return {experts, weights * scaling_factor_};
}

}  // namespace vernier::calib::deepseek_v4
