// The gated delta rule (arXiv 2412.06464): a state S [dk, dv] that decays, forgets what it holds of
// a key, and learns the key's new value.
//   S_t = a_t S_(t-1) + b_t k_t (v_t - a_t S_(t-1)^T k_t)^T,  o_t = S_t^T q_t
#ifndef VERNIER_CALIB_FAMILIES_DELTA_RULE_H_
#define VERNIER_CALIB_FAMILIES_DELTA_RULE_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace vernier::calib {

// N key heads, each with r value heads, over P positions. F32.
struct DeltaRuleInputs {
  at::Tensor queries;    // [N, P, dk]
  at::Tensor keys;       // [N, P, dk]
  at::Tensor values;     // [N, r, P, dv]
  at::Tensor log_decay;  // [N, r, P]: log a, at most 0
  at::Tensor rates;      // [N, r, P]: b
};

// Outputs [N, r, P, dv]. `state` [N, r, dk, dv] is replaced by that behind the last position.
at::Tensor RunDeltaRule(const DeltaRuleInputs& inputs, at::Tensor& state);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_DELTA_RULE_H_
