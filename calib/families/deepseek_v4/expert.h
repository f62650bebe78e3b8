// A feed-forward expert, routed or shared: w2(silu(min(w1 x, lim)) * clamp(w3 x, -lim, lim)).
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_EXPERT_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_EXPERT_H_

#include <ATen/ATen.h>

#include <array>
#include <string>

#include "calib/families/decoder.h"
#include "calib/tap.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {

// The linear layers of an expert, in the order of its ExpertWeights: w1, w3 [I, D] and w2 [D, I].
inline constexpr std::array kExpertParts = {
    checkpoint::deepseek_v4::kW1, checkpoint::deepseek_v4::kW2, checkpoint::deepseek_v4::kW3};

// x [rows, D] -> [rows, D], x's dtype. Observes the inputs of `module`.w1, .w2 and .w3, without the
// padding of `batch`, of whose tokens x holds the rows.
at::Tensor RunSwiglu(const at::Tensor& x, const ExpertWeights& weights, double limit,
                     const std::string& module, const TokenBatch& batch, Tap& tap);

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_EXPERT_H_
