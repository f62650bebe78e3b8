// How families choose a token's routed experts. Among equal scores the lower expert comes first.
#ifndef VERNIER_CALIB_FAMILIES_ROUTERS_H_
#define VERNIER_CALIB_FAMILIES_ROUTERS_H_

#include <ATen/ATen.h>

#include <string>

#include "calib/families/residual_decoder.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

// Softmax over all experts, the best of them, their weights normalised if the model does that
// (Mixtral, Qwen3-MoE).
class SoftmaxRouter final : public Router {
 public:
  SoftmaxRouter(const TensorLoader& loader, const checkpoint::ExpertsConfig& config,
                const std::string& module);

  Routing Route(const at::Tensor& x) const override;
  const at::Tensor& weight() const override { return weight_; }

 private:
  checkpoint::ExpertsConfig config_;
  at::Tensor weight_;  // [E, D], compute dtype
};

// The best scores, a bias included, and the softmax over them (gpt-oss).
class TopSoftmaxRouter final : public Router {
 public:
  TopSoftmaxRouter(const TensorLoader& loader, const checkpoint::ExpertsConfig& config,
                   const std::string& module);

  Routing Route(const at::Tensor& x) const override;
  const at::Tensor& weight() const override { return weight_; }

 private:
  int64_t per_token_;
  at::Tensor weight_;  // [E, D], compute dtype
  at::Tensor bias_;    // [E], F32; undefined without
};

// Sigmoid scores; a correction bias takes part in the choice alone. The groups of experts whose two
// best sum highest are chosen first, and the experts among theirs (DeepSeek-V3, arXiv 2412.19437).
class GroupLimitedRouter final : public Router {
 public:
  // `bias`: the name of the correction bias.
  GroupLimitedRouter(const TensorLoader& loader, const checkpoint::ExpertsConfig& config,
                     const std::string& module, const std::string& bias);

  Routing Route(const at::Tensor& x) const override;
  const at::Tensor& weight() const override { return weight_; }

 private:
  // scores [T, E] with those outside the chosen groups at minus infinity.
  at::Tensor LimitToGroups(const at::Tensor& scores) const;

  checkpoint::ExpertsConfig config_;
  at::Tensor weight_;  // [E, D], compute dtype
  at::Tensor bias_;    // [E], F32
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_ROUTERS_H_
