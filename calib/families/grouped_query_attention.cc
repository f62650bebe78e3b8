#include "calib/families/grouped_query_attention.h"

#include <cmath>
#include <string>
#include <string_view>

#include "calib/families/rms_norm.h"
#include "calib/families/rope.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::calib {

GroupedQueryAttention::GroupedQueryAttention(const TensorLoader& loader,
                                             const checkpoint::DecoderConfig& config, int64_t layer,
                                             int64_t query_chunk)
    : module_(config.names.Attention(layer)),
      config_(config.block(layer).attention.grouped_query),
      heads_(config.block(layer).attention.heads),
      window_(config.block(layer).attention.window),
      query_chunk_(query_chunk),
      norm_eps_(config.norm_eps),
      rope_factor_(config.rope.attention_factor),
      q_(loader, module_ + "." + config.names.q, config_.qkv_bias),
      k_(loader, module_ + "." + config.names.k, config_.qkv_bias),
      v_(loader, module_ + "." + config.names.v, config_.qkv_bias),
      o_(loader, module_ + "." + config.names.o, config_.output_bias),
      rope_frequencies_(RopeFrequencies(config.rope, config.rope.RotaryDim(config_.head_dim))) {
  if (!config_.qk_norm) return;
  q_norm_ = LoadNorm(loader, config, module_ + "." + config.names.q_norm);
  k_norm_ = LoadNorm(loader, config, module_ + "." + config.names.k_norm);
}

at::Tensor GroupedQueryAttention::Forward(const at::Tensor& x, const TokenBatch& batch,
                                          KeyValues& past, Tap& tap) const {
  const int64_t sequences = x.size(0), length = x.size(1), first = past.length();
  const RopeTable rope =
      MakeRopeTable(rope_frequencies_, first, first + length, x.device(), rope_factor_);
  // One projection's rows as heads, normalised if the model does that, and rotated.
  const auto to_heads = [&](const at::Tensor& rows, int64_t heads, const at::Tensor& norm,
                            const RopeTable& table) {
    const auto normalised = [&](const at::Tensor& x) {
      return norm.defined() ? RmsNorm(x, norm, norm_eps_) : x;
    };
    at::Tensor split = (config_.qk_norm_of_all ? normalised(rows) : rows)
                           .view({sequences, -1, heads, config_.head_dim});
    if (!config_.qk_norm_of_all) split = normalised(split);
    return Rotate(split, table, /*per_head=*/true, RopePairs::kHalves, RopePlace::kFirst);
  };
  const auto cached = [&](std::string_view name, const at::Tensor& rows) {
    return TakeCache(tap, module_ + std::string(name), batch, rows.reshape({sequences, length, -1}))
        .view({sequences, length, config_.key_value_heads, config_.head_dim});
  };
  const at::Tensor q_in = q_.TakeInput(x, batch, tap);
  const at::Tensor keys =
      cached(checkpoint::kKeyCache,
             to_heads(k_.Run(x, batch, tap), config_.key_value_heads, k_norm_, rope));
  past.Append(keys, cached(checkpoint::kValueCache, v_.Run(x, batch, tap)));
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim));
  return InChunks(length, query_chunk_, [&](int64_t begin, int64_t end) {
    const at::Tensor q =
        to_heads(q_.Apply(q_in.slice(1, begin, end)), heads_, q_norm_, rope.Slice(begin, end));
    const at::Tensor out = past.Attend(q, first + begin, window_, scale);
    return o_.Run(out.flatten(2), batch.Positions(begin, end), tap);
  });
}

}  // namespace vernier::calib
