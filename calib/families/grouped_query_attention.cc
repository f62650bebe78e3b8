#include "calib/families/grouped_query_attention.h"

#include <cmath>
#include <memory>

#include "calib/families/rms_norm.h"
#include "calib/families/rope.h"

namespace vernier::calib {

GroupedQueryAttention::GroupedQueryAttention(const TensorLoader& loader,
                                             const checkpoint::DecoderConfig& config, int64_t layer,
                                             const std::string& module, int64_t query_chunk)
    : module_(module),
      heads_(config.heads),
      key_value_heads_(config.grouped_query.key_value_heads),
      head_dim_(config.grouped_query.head_dim),
      window_(config.grouped_query.windows[static_cast<size_t>(layer)]),
      query_chunk_(query_chunk),
      norm_eps_(config.norm_eps),
      rope_factor_(config.rope.attention_factor),
      q_(loader, module + ".q_proj", config.grouped_query.qkv_bias),
      k_(loader, module + ".k_proj", config.grouped_query.qkv_bias),
      v_(loader, module + ".v_proj", config.grouped_query.qkv_bias),
      o_(loader, module + ".o_proj", config.grouped_query.output_bias),
      rope_frequencies_(RopeFrequencies(config.rope, head_dim_)) {
  if (!config.grouped_query.qk_norm) return;
  q_norm_ = loader.LoadExact(module + ".q_norm.weight");
  k_norm_ = loader.LoadExact(module + ".k_norm.weight");
}

at::Tensor GroupedQueryAttention::Forward(const at::Tensor& x, const TokenBatch& batch,
                                          KeyValues& past, Tap& tap) const {
  const int64_t sequences = x.size(0), length = x.size(1), first = past.length();
  const RopeTable rope =
      MakeRopeTable(rope_frequencies_, first, first + length, x.device(), rope_factor_);
  // One projection's rows as heads, normalised if the model does that, and rotated.
  const auto to_heads = [&](const at::Tensor& rows, int64_t heads, const at::Tensor& norm,
                            const RopeTable& table) {
    at::Tensor split = rows.view({sequences, -1, heads, head_dim_});
    if (norm.defined()) split = RmsNorm(split, norm, norm_eps_);
    return Rotate(split, table, /*per_head=*/true, RopePairs::kHalves);
  };
  const auto cached = [&](const char* name, const at::Tensor& rows) {
    return TakeCache(tap, module_ + name, batch, rows.reshape({sequences, length, -1}))
        .view({sequences, length, key_value_heads_, head_dim_});
  };
  const at::Tensor q_in = q_.TakeInput(x, batch, tap);
  const at::Tensor keys =
      cached(".k_cache", to_heads(k_.Run(x, batch, tap), key_value_heads_, k_norm_, rope));
  past.Append(keys, cached(".v_cache", v_.Run(x, batch, tap)));
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim_));
  return InChunks(length, query_chunk_, [&](int64_t begin, int64_t end) {
    const at::Tensor q =
        to_heads(q_.Apply(q_in.slice(1, begin, end)), heads_, q_norm_, rope.Slice(begin, end));
    const at::Tensor out = past.Attend(q, first + begin, window_, scale);
    return o_.Run(out.flatten(2), batch.Positions(begin, end), tap);
  });
}

MakeAttention GroupedQueryLayers(const TensorLoader& loader,
                                 const checkpoint::DecoderConfig& config) {
  return [&loader, config](int64_t layer, const std::string& module, int64_t query_chunk) {
    return std::make_unique<GroupedQueryAttention>(loader, config, layer, module, query_chunk);
  };
}

}  // namespace vernier::calib
