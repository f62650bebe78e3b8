#include "calib/families/grouped_query_attention.h"

#include <cmath>
#include <utility>
#include <vector>

#include "calib/families/swiglu.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::calib {
namespace {

enum Part : size_t { kQueries, kKeys, kValues };

ParallelLinear LoadProjections(const TensorLoader& loader, const checkpoint::DecoderNames& names,
                               const std::string& module, const checkpoint::AttentionBlock& block) {
  const checkpoint::GroupedQueryConfig& config = block.grouped_query;
  const std::string prefix = module + ".";
  if (!config.fused) {
    return {loader, {prefix + names.q, prefix + names.k, prefix + names.v}, config.qkv_bias};
  }
  const int64_t queries = block.heads * config.head_dim,
                keys = config.key_value_heads * config.head_dim;
  return {loader, prefix + names.fused_qkv, {queries, keys, keys}, config.qkv_bias};
}

}  // namespace

GroupedQueryAttention::GroupedQueryAttention(const TensorLoader& loader,
                                             const checkpoint::DecoderConfig& config, int64_t layer,
                                             int64_t query_chunk)
    : module_(config.names.Attention(layer)),
      config_(config.block(layer).attention.grouped_query),
      heads_(config.block(layer).attention.heads),
      window_(config.block(layer).attention.window),
      query_chunk_(query_chunk),
      scale_(config_.scale > 0 ? config_.scale
                               : 1.0 / std::sqrt(static_cast<double>(config_.head_dim))),
      qkv_(LoadProjections(loader, config.names, module_, config.block(layer).attention)),
      o_(loader, module_ + "." + config.names.o, config_.output_bias),
      rope_(config.Rope(layer), config_.head_dim) {
  if (config_.sinks) sinks_ = loader.LoadExact(module_ + "." + config.names.sinks);
  if (!config_.qk_norm) return;
  const auto load = [&](const std::string& name) {
    return OptionalNorm(LoadNorm(loader, config, module_ + "." + name), config.norm_eps);
  };
  q_norm_ = load(config.names.q_norm);
  k_norm_ = load(config.names.k_norm);
}

at::Tensor GroupedQueryAttention::ToHeads(const at::Tensor& rows, int64_t heads,
                                          const OptionalNorm& norm, const BatchRotation& rope,
                                          int64_t begin) const {
  const auto split = [&](const at::Tensor& x) {
    return x.view({rows.size(0), -1, heads, config_.head_dim});
  };
  return rope.Rotate(config_.qk_norm_of_all ? split(norm.Of(rows)) : norm.Of(split(rows)), begin,
                     config_.interleaved ? RopePairs::kNeighbours : RopePairs::kHalves);
}

at::Tensor GroupedQueryAttention::Grown(const at::Tensor& q, int64_t first) const {
  const checkpoint::QueryGrowth& growth = config_.growth;
  if (growth.beta == 0) return q;
  const at::Tensor positions =
      at::arange(first, first + q.size(1), q.options().dtype(at::kFloat)).div_(growth.positions);
  const at::Tensor factors = at::floor(positions).log1p_().mul_(growth.beta).add_(1);
  return q * factors.to(q.scalar_type()).view({-1, 1, 1});
}

at::Tensor GroupedQueryAttention::Cached(std::string_view cache, const at::Tensor& rows,
                                         const TokenBatch& batch, Tap& tap) const {
  return TakeCache(tap, module_ + std::string(cache), batch, rows)
      .view({rows.size(0), rows.size(1), config_.key_value_heads, config_.head_dim});
}

std::pair<at::Tensor, at::Tensor> GroupedQueryAttention::TakeGate(const at::Tensor& rows) const {
  if (!config_.output_gate) return {rows, {}};
  const std::vector<at::Tensor> halves = rows.unflatten(-1, {heads_, 2, -1}).unbind(-2);
  return {halves[0].flatten(2), halves[1].flatten(2)};
}

at::Tensor GroupedQueryAttention::Forward(const at::Tensor& x, const TokenBatch& batch,
                                          KeyValues& past, Tap& tap) const {
  const int64_t length = x.size(1), first = past.length();
  const BatchRotation rope = rope_.For(batch, x.size(0), first, length, x.device());
  const std::vector<at::Tensor> inputs = qkv_.TakeInputs(x, batch, tap);
  const at::Tensor k =
      ToHeads(qkv_.Apply(kKeys, inputs[kKeys]), config_.key_value_heads, k_norm_, rope, 0);
  const at::Tensor keys = Cached(checkpoint::kKeyCache, k.flatten(2), batch, tap);
  past.Append(keys,
              Cached(checkpoint::kValueCache, qkv_.Apply(kValues, inputs[kValues]), batch, tap));
  return InChunks(length, query_chunk_, [&](int64_t begin, int64_t end) {
    const auto [rows, gate] = TakeGate(qkv_.Apply(kQueries, inputs[kQueries].slice(1, begin, end)));
    const at::Tensor q = Grown(ToHeads(rows, heads_, q_norm_, rope, begin), first + begin);
    const at::Tensor out =
        past.Attend(q, first + begin, window_, scale_, {.sinks = sinks_}).flatten(2);
    return o_.Run(gate.defined() ? GateBySigmoid(out, gate) : out, batch.Positions(begin, end),
                  tap);
  });
}

}  // namespace vernier::calib
