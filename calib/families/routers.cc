#include "calib/families/routers.h"

#include <limits>
#include <tuple>

#include "calib/families/linear.h"
#include "calib/families/top_k.h"

namespace vernier::calib {
namespace {

constexpr double kNoDivisionByZero = 1e-20;

// The weights [T, k] of the chosen experts.
Routing WeightsOf(const at::Tensor& scores, const at::Tensor& experts,
                  const checkpoint::ExpertsConfig& config) {
  at::Tensor weights = scores.gather(1, experts);
  if (config.normalize) {
    weights = weights / (weights.sum(1, /*keepdim=*/true) + kNoDivisionByZero);
  }
  return {experts, weights * config.scaling_factor};
}

}  // namespace

SoftmaxRouter::SoftmaxRouter(const TensorLoader& loader, const checkpoint::ExpertsConfig& config,
                             const std::string& module)
    : config_(config), weight_(loader.Load(module + ".weight")) {}

Routing SoftmaxRouter::Route(const at::Tensor& x) const {
  const at::Tensor scores = at::softmax(LinearF32(x, weight_), -1);
  return WeightsOf(scores, TopIndices(scores, config_.per_token), config_);
}

TopSoftmaxRouter::TopSoftmaxRouter(const TensorLoader& loader,
                                   const checkpoint::ExpertsConfig& config,
                                   const std::string& module)
    : per_token_(config.per_token), weight_(loader.Load(module + ".weight")) {
  if (config.router_bias) bias_ = loader.LoadExact(module + ".bias");
}

Routing TopSoftmaxRouter::Route(const at::Tensor& x) const {
  at::Tensor scores = LinearF32(x, weight_);
  if (bias_.defined()) scores += bias_;
  const at::Tensor experts = TopIndices(scores, per_token_);
  return {experts, at::softmax(scores.gather(1, experts), -1)};
}

GroupLimitedRouter::GroupLimitedRouter(const TensorLoader& loader,
                                       const checkpoint::ExpertsConfig& config,
                                       const std::string& module, const std::string& bias)
    : config_(config), weight_(loader.Load(module + ".weight")), bias_(loader.LoadExact(bias)) {}

Routing GroupLimitedRouter::Route(const at::Tensor& x) const {
  const at::Tensor scores = at::sigmoid(LinearF32(x, weight_));
  const at::Tensor experts = TopIndices(LimitToGroups(scores + bias_), config_.per_token);
  return WeightsOf(scores, experts, config_);
}

at::Tensor GroupLimitedRouter::LimitToGroups(const at::Tensor& scores) const {
  if (config_.groups == config_.chosen_groups) return scores;
  constexpr int64_t kBestOfGroup = 2;
  const at::Tensor grouped = scores.view({scores.size(0), config_.groups, -1});
  const at::Tensor group_scores = std::get<0>(grouped.topk(kBestOfGroup, -1)).sum(-1);
  const at::Tensor chosen = at::zeros_like(group_scores, at::kBool)
                                .scatter(1, TopIndices(group_scores, config_.chosen_groups), true);
  return grouped
      .masked_fill(chosen.logical_not().unsqueeze(-1), -std::numeric_limits<double>::infinity())
      .view(scores.sizes());
}

}  // namespace vernier::calib
