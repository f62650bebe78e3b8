// Manifold-constrained hyper-connections (mHC): n parallel residual streams, read and written by
// each sublayer through weights that depend on the token. All of it is computed in F32.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_HYPER_CONNECTION_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_HYPER_CONNECTION_H_

#include <ATen/ATen.h>

#include <string>

#include "calib/tensor_loader.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

// How one sublayer joins the streams, T tokens.
struct StreamMix {
  at::Tensor post;  // [T, n]: weight of the sublayer's output in each stream
  at::Tensor comb;  // [T, n, n]: weight of old stream j in new stream k at [j, k]

  // As one matrix [T, n + n * n], and back.
  at::Tensor Pack() const;
  static StreamMix Unpack(const at::Tensor& packed, int64_t streams);
};

// A sublayer's input and the way back.
struct StreamRead {
  at::Tensor x;  // [B, S, D], dtype of the streams
  StreamMix mix;
};

// One site: `prefix` + "fn", "base" and "scale" in the checkpoint.
class HyperConnection {
 public:
  HyperConnection(const TensorLoader& loader, const std::string& prefix,
                  const checkpoint::DeepseekV4Config& config);

  // hidden [B, S, n, D]
  StreamRead Read(const at::Tensor& hidden) const;

 private:
  at::Tensor fn_, base_, scale_;
  int64_t streams_, sinkhorn_iters_;
  double hc_eps_, norm_eps_;
};

// New streams k: post_k * y + sum_j comb[j, k] * hidden_j. hidden [B, S, n, D], y [T, D] of any
// floating dtype -> hidden's shape and dtype.
at::Tensor WriteStreams(const at::Tensor& hidden, const at::Tensor& y, const StreamMix& mix);

// The streams behind the last layer, weighted and added. Weights: hc_head_fn, hc_head_base,
// hc_head_scale.
class StreamCollapse {
 public:
  StreamCollapse(const TensorLoader& loader, const checkpoint::DeepseekV4Config& config);

  // hidden [B, S, n, D] -> [B, S, D].
  at::Tensor Collapse(const at::Tensor& hidden) const;

 private:
  at::Tensor fn_, base_, scale_;
  double hc_eps_, norm_eps_;
};

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_HYPER_CONNECTION_H_
