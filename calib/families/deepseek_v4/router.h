// Which routed experts a token goes to, and with what weights.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROUTER_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROUTER_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "calib/families/decoder.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

// Some layers look the experts up by token id (gate.tid2eid), the others take
// the best by score plus gate.bias, the lower expert first among equals. The bias selects only.
class Router {
 public:
  Router(const TensorLoader& loader, int64_t layer, const checkpoint::DeepseekV4Config& config);

  // x [T, D], ids [T] I64 -> experts and weights [T, num_experts_per_tok]. Scores are
  // sqrt(softplus(gate.weight x)), computed in F32.
  Routing Route(const at::Tensor& x, const at::Tensor& ids) const;

  // What makes scores of x: [E, D].
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor weight_;   // [E, D], compute dtype
  at::Tensor bias_;     // [E] F32; undefined in a hash layer
  at::Tensor tid2eid_;  // [vocab, k] I64; defined in a hash layer only
  int64_t top_k_;
  bool normalize_;
  double scaling_factor_;
};

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROUTER_H_
