#include "calib/families/latent_attention.h"

#include <cmath>
#include <string>

#include "base/error.h"
#include "calib/families/rms_norm.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::calib {
namespace {

RopePairs PairsOf(const checkpoint::LatentAttentionConfig& config) {
  return config.interleaved ? RopePairs::kNeighbours : RopePairs::kHalves;
}

}  // namespace

LatentAttention::LatentAttention(const TensorLoader& loader,
                                 const checkpoint::DecoderConfig& config, int64_t layer,
                                 int64_t query_chunk)
    : module_(config.names.Attention(layer)),
      config_(config.block(layer).attention.latent),
      heads_(config.block(layer).attention.heads),
      query_chunk_(query_chunk),
      norm_eps_(config_.norm_eps),
      rope_factor_(config.rope.attention_factor),
      scale_(config.rope.score_factor * config.rope.score_factor /
             std::sqrt(static_cast<double>(config_.qk_head_dim()))),
      q_(loader, module_ + "." + (config_.q_lora_rank == 0 ? config.names.q : config.names.q_b)),
      kv_a_(loader, module_ + "." + config.names.kv_a, config_.bias),
      kv_b_(loader, module_ + "." + config.names.kv_b),
      o_(loader, module_ + "." + config.names.o, config_.bias),
      kv_a_norm_(loader.LoadExact(module_ + "." + config.names.kv_a_norm + ".weight")),
      rope_frequencies_(RopeFrequencies(config.rope, config_.qk_rope_head_dim)) {
  if (config_.indexer.heads > 0 && !config_.indexer.shared) {
    indexer_.emplace(loader, config, module_, config_);
  }
  if (config_.q_lora_rank == 0) return;
  q_a_.emplace(loader, module_ + "." + config.names.q_a, config_.bias);
  q_a_norm_ = loader.LoadExact(module_ + "." + config.names.q_a_norm + ".weight");
}

at::Tensor LatentAttention::Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                                    Tap& tap) const {
  const int64_t first = past.length();
  const RopeTable rope =
      MakeRopeTable(rope_frequencies_, first, first + x.size(1), x.device(), rope_factor_);
  CheckShared(first + x.size(1));
  const at::Tensor low_rank = QueryInput(x, batch, tap);
  const at::Tensor q_in = q_.TakeInput(low_rank, batch, tap);
  AppendKeyValues(x, rope, batch, past, tap);
  LightningIndexer::Sequence indexed;
  if (indexer_) {
    past.AppendIndex(indexer_->Keys(x, rope, batch, tap));
    indexed = indexer_->TakeInputs(x, low_rank, batch, tap);
  }
  return InChunks(x.size(1), query_chunk_, [&](int64_t begin, int64_t end) {
    const at::Tensor projected =
        q_.Apply(q_in.slice(1, begin, end)).view({x.size(0), end - begin, heads_, -1});
    const at::Tensor q =
        Rotate(projected, rope.Slice(begin, end), /*per_head=*/true, PairsOf(config_));
    const at::Tensor chosen = indexer_
                                  ? indexer_->Choose(indexed, begin, end, rope.Slice(begin, end),
                                                     past.index_keys().slice(1, 0, first + end))
                                  : at::Tensor();
    const at::Tensor out = past.Attend(q, first + begin, /*window=*/0, scale_, {.chosen = chosen});
    return o_.Run(out.flatten(2), batch.Positions(begin, end), tap);
  });
}

at::Tensor LatentAttention::QueryInput(const at::Tensor& x, const TokenBatch& batch,
                                       Tap& tap) const {
  return q_a_ ? RmsNorm(q_a_->Run(x, batch, tap), q_a_norm_, norm_eps_) : x;
}

void LatentAttention::CheckShared(int64_t length) const {
  if (!config_.indexer.shared || length <= config_.indexer.top_k) return;
  throw Error(ErrorCode::kBadConfig, "config.json",
              "layers share the choice of another's indexer, which is computed for sequences of at "
              "most index_topk tokens, of which all are chosen; here are " +
                  std::to_string(length),
              "Use sequences of at most " + std::to_string(config_.indexer.top_k) + " tokens");
}

void LatentAttention::AppendKeyValues(const at::Tensor& x, const RopeTable& rope,
                                      const TokenBatch& batch, KeyValues& past, Tap& tap) const {
  const int64_t latent_width = config_.kv_lora_rank;
  const at::Tensor compressed = kv_a_.Run(x, batch, tap);
  const at::Tensor latent = RmsNorm(compressed.slice(-1, 0, latent_width), kv_a_norm_, norm_eps_);
  const at::Tensor rotated =
      Rotate(compressed.slice(-1, latent_width), rope, /*per_head=*/false, PairsOf(config_));
  const at::Tensor cached = TakeCache(tap, module_ + std::string(checkpoint::kKeyValueCache), batch,
                                      at::cat({latent, rotated}, -1));

  const at::Tensor projected = kv_b_.Run(cached.slice(-1, 0, latent_width), batch, tap)
                                   .view({x.size(0), x.size(1), heads_, -1});
  const at::Tensor shared =
      cached.slice(-1, latent_width).unsqueeze(2).expand({-1, -1, heads_, -1});
  const int64_t plain = config_.qk_nope_head_dim;
  past.Append(at::cat({projected.slice(-1, 0, plain), shared}, -1), projected.slice(-1, plain));
}

}  // namespace vernier::calib
