#include "calib/families/deepseek_v4/indexer.h"

#include <cmath>
#include <limits>

#include "calib/budget/loop_constants.h"
#include "calib/families/linear.h"
#include "calib/families/tensor_cores.h"
#include "calib/families/top_k.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {

namespace names = checkpoint::deepseek_v4;

Indexer::Indexer(const TensorLoader& loader, const std::string& module,
                 const at::Tensor& rope_frequencies, const checkpoint::DeepseekV4Config& config)
    : compressor_(loader, names::Below(module, names::kCompressor), rope_frequencies,
                  config.rms_norm_eps),
      wq_b_(loader.Load(names::Below(module, names::kWqB) + ".weight")),
      weights_proj_(loader.Load(names::Below(module, names::kWeightsProjection) + ".weight")),
      heads_(config.index_n_heads),
      head_dim_(config.index_head_dim),
      top_k_(config.index_topk) {}

at::Tensor Indexer::Select(const at::Tensor& x, const at::Tensor& qr, const RopeTable& rope,
                           const at::Tensor& keys, const at::Tensor& causal) const {
  const int64_t batch = x.size(0), entries = keys.size(1);
  const at::Tensor visible = causal.expand({batch, -1, -1});
  if (entries <= top_k_) return visible;  // everything is chosen, whatever the scores

  const at::Tensor scores =
      Scores(x, qr, rope, keys)
          .masked_fill_(visible.logical_not(), -std::numeric_limits<double>::infinity());
  const at::Tensor chosen = at::zeros(scores.sizes(), visible.options());
  chosen.scatter_(-1, TopIndices(scores, top_k_), true);
  return chosen.logical_and_(visible);
}

// sum over heads of weight * relu(q . k), F32 [B, C, V].
at::Tensor Indexer::Scores(const at::Tensor& x, const at::Tensor& qr, const RopeTable& rope,
                           const at::Tensor& keys) const {
  const int64_t batch = x.size(0), queries = x.size(1);
  const at::Tensor q =
      Rotate(Linear(qr, wq_b_).view({batch, queries, heads_, head_dim_}), rope, /*per_head=*/true);
  const TensorCores cores(q);
  const at::Tensor flat = q.to(at::kFloat).view({batch, queries * heads_, head_dim_});
  at::Tensor scores = MatrixProducts(flat, keys.to(at::kFloat).transpose(1, 2), kLeastEqualBatch)
                          .view({batch, queries, heads_, keys.size(1)});
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim_ * heads_));
  const at::Tensor weights = LinearF32(x, weights_proj_) * scale;
  return scores.relu_().mul_(weights.unsqueeze(-1)).sum(2);
}

}  // namespace vernier::calib::deepseek_v4
