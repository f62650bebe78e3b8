#include "calib/families/lightning_indexer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rounding.h"
#include "calib/budget/loop_constants.h"
#include "calib/families/layer_norm.h"
#include "calib/families/linear.h"
#include "calib/families/row_tiles.h"
#include "calib/families/tensor_cores.h"
#include "calib/families/top_k.h"

namespace vernier::calib {
namespace {

constexpr double kKeyNormEps = 1e-6;  // transformers' modeling_deepseek_v32.py

RopePairs PairsOfIndexer(const checkpoint::IndexerConfig& config) {
  return config.interleaved ? RopePairs::kNeighbours : RopePairs::kHalves;
}

// sum over heads of weight * relu(q . k): q [B, C, h, d], keys [B, K, d], weights [B, C, h], F32 ->
// [B, C, K].
at::Tensor IndexScores(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& weights) {
  const int64_t queries = q.size(1), heads = q.size(2);
  return MatrixProducts(q.flatten(1, 2), keys.transpose(1, 2), kLeastEqualBatch)
      .view({q.size(0), queries, heads, keys.size(1)})
      .relu_()
      .mul_(weights.unsqueeze(-1))
      .sum(2);
}

// Of queries whose last sees all of K keys, each one fewer than the next: the `top_k` best, bool
// [B, C, K].
at::Tensor BestOfSeen(const at::Tensor& scores, int64_t top_k) {
  const int64_t queries = scores.size(1), keys = scores.size(2);
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(scores.device());
  const at::Tensor last = at::arange(keys - queries, keys, options).unsqueeze(-1);
  const at::Tensor seen = at::arange(keys, options) <= last;
  const at::Tensor masked =
      scores.masked_fill(seen.logical_not(), -std::numeric_limits<double>::infinity());
  return at::zeros(scores.sizes(), scores.options().dtype(at::kBool))
      .scatter_(-1, TopIndices(masked, std::min(top_k, keys)), true)
      .logical_and_(seen);
}

// BestOfSeen of IndexScores, on a CPU. A tile is some queries of one sequence, with no more rows of
// scores than a tile of attention.
at::Tensor BestInTiles(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& weights,
                       int64_t top_k) {
  const int64_t queries = q.size(1), before = keys.size(1) - queries;
  const at::Tensor best =
      at::zeros({q.size(0), queries, keys.size(1)}, q.options().dtype(at::kBool));
  const int64_t tile = std::max<int64_t>(kQueryTile / q.size(2), 1);
  const int64_t tiles = CeilDivide(queries, tile);
  ForRowTiles(q.device(), q.size(0) * tiles, 1, [&](int64_t i, int64_t) {
    const int64_t from = i % tiles * tile, to = std::min(from + tile, queries);
    const auto part = [&](const at::Tensor& x) {
      return x.narrow(0, i / tiles, 1).slice(1, from, to);
    };
    const at::Tensor seen = keys.narrow(0, i / tiles, 1).slice(1, 0, before + to);
    part(best)
        .slice(-1, 0, before + to)
        .copy_(BestOfSeen(IndexScores(part(q), seen, part(weights)), top_k));
  });
  return best;
}

}  // namespace

LightningIndexer::LightningIndexer(const TensorLoader& loader,
                                   const checkpoint::DecoderConfig& config,
                                   const std::string& module,
                                   const checkpoint::LatentAttentionConfig& attention)
    : config_(attention.indexer),
      wq_b_(loader, module + "." + config.names.indexer + "." + config.names.index_q),
      wk_(loader, module + "." + config.names.indexer + "." + config.names.index_k),
      weights_module_(module + "." + config.names.indexer + "." + config.names.index_weights),
      weights_proj_(loader.Load(weights_module_ + ".weight")) {
  const std::string norm = module + "." + config.names.indexer + "." + config.names.index_k_norm;
  k_norm_ = loader.LoadExact(norm + ".weight");
  k_norm_bias_ = loader.LoadExact(norm + ".bias");
}

LightningIndexer::Sequence LightningIndexer::TakeInputs(const at::Tensor& x,
                                                        const at::Tensor& low_rank,
                                                        const TokenBatch& batch, Tap& tap) const {
  const LinearSite weights = {.module = weights_module_, .weight = weights_proj_};
  return {wq_b_.TakeInput(low_rank, batch, tap), TakeInput(tap, weights, batch, x)};
}

at::Tensor LightningIndexer::Keys(const at::Tensor& x, const RopeTable& rope,
                                  const TokenBatch& batch, Tap& tap) const {
  const at::Tensor keys = LayerNorm(wk_.Run(x, batch, tap), k_norm_, k_norm_bias_, kKeyNormEps);
  return Rotate(keys, rope, /*per_head=*/false, PairsOfIndexer(config_), RopePlace::kFirst);
}

at::Tensor LightningIndexer::Choose(const Sequence& sequence, int64_t begin, int64_t end,
                                    const RopeTable& rope, const at::Tensor& keys) const {
  if (keys.size(1) <= config_.top_k) return {};
  const int64_t batch = keys.size(0), queries = end - begin;
  const at::Tensor projected = wq_b_.Apply(sequence.q_in.slice(1, begin, end))
                                   .view({batch, queries, config_.heads, config_.head_dim});
  const at::Tensor q =
      Rotate(projected, rope, /*per_head=*/true, PairsOfIndexer(config_), RopePlace::kFirst)
          .to(at::kFloat);
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim * config_.heads));
  const at::Tensor weights =
      LinearF32(sequence.weights_in.slice(1, begin, end), weights_proj_) * scale;
  const at::Tensor wide = keys.to(at::kFloat);
  if (keys.is_cpu()) return BestInTiles(q, wide, weights, config_.top_k);
  const TensorCores cores(projected);
  return BestOfSeen(IndexScores(q, wide, weights), config_.top_k);
}

}  // namespace vernier::calib
