#include "calib/families/deepseek_v4/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "calib/budget/loop_constants.h"
#include "calib/device_forward.h"
#include "calib/families/linear.h"
#include "calib/families/rms_norm.h"
#include "calib/families/tensor_cores.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {
namespace {

namespace names = checkpoint::deepseek_v4;

// In place: the softmax of scores p [B, C, h, K] and a sink [h], of the keys that are visible
// [B, C, K].
void SoftmaxWithSink(at::Tensor& p, const at::Tensor& visible, const at::Tensor& sink) {
  p.masked_fill_(visible.logical_not().unsqueeze(2), -std::numeric_limits<double>::infinity());
  const at::Tensor sink_score = sink.unsqueeze(-1);  // [h, 1]
  const at::Tensor top = at::maximum(p.amax(-1, /*keepdim=*/true), sink_score);
  p.sub_(top).exp_();
  p.div_(p.sum(-1, /*keepdim=*/true) + (sink_score - top).exp());
}

at::Tensor Positions(int64_t begin, int64_t end, const at::Tensor& like) {
  return at::arange(begin, end, at::TensorOptions(at::kLong).device(like.device()));
}

}  // namespace

Attention::Attention(const TensorLoader& loader, int64_t layer,
                     const checkpoint::DeepseekV4Config& config, int64_t query_chunk)
    : module_(names::Attention(layer)),
      heads_(config.num_attention_heads),
      head_dim_(config.head_dim),
      groups_(config.o_groups),
      window_(config.sliding_window),
      query_chunk_(query_chunk),
      norm_eps_(config.rms_norm_eps),
      wq_a_(loader.Load(names::Below(module_, names::kWqA) + ".weight")),
      wq_b_(loader.Load(names::Below(module_, names::kWqB) + ".weight")),
      wkv_(loader.Load(names::Below(module_, names::kWkv) + ".weight")),
      wo_a_(loader.Load(names::Below(module_, names::kWoA) + ".weight")),
      wo_b_(loader.Load(names::Below(module_, names::kWoB) + ".weight")),
      q_norm_(loader.LoadExact(names::Below(module_, names::kQNorm) + ".weight")),
      kv_norm_(loader.LoadExact(names::Below(module_, names::kKvNorm) + ".weight")),
      sink_(loader.LoadExact(names::Below(module_, names::kSink))) {
  assert(query_chunk > 0);
  const checkpoint::DeepseekV4Block& block = config.block(layer);
  rope_frequencies_ = RopeFrequencies(config, block.compress_ratio);
  if (!block.compresses()) return;
  compressor_.emplace(loader, names::Below(module_, names::kCompressor), rope_frequencies_,
                      norm_eps_);
  if (block.indexes()) {
    indexer_.emplace(loader, names::Below(module_, names::kIndexer), rope_frequencies_, config);
  }
}

at::Tensor Attention::Forward(const at::Tensor& x, const TokenBatch& batch, Past& past,
                              Tap& tap) const {
  const Sequence sequence = Project(x, batch, past, tap);
  std::vector<at::Tensor> chunks;
  for (int64_t begin = 0; begin < x.size(1); begin += query_chunk_) {
    const int64_t end = std::min(begin + query_chunk_, x.size(1));
    const at::Tensor heads = AttendChunk(sequence, begin, end);
    chunks.push_back(ProjectOutput(heads, batch.Positions(begin, end), tap));
  }
  return at::cat(chunks, 1);
}

Attention::Sequence Attention::Project(const at::Tensor& x, const TokenBatch& batch, Past& past,
                                       Tap& tap) const {
  Sequence sequence;
  sequence.first = past.length;
  past.length += x.size(1);
  sequence.x = x;
  sequence.rope = MakeRopeTable(rope_frequencies_, sequence.first, past.length, x.device());
  const auto site = [&](std::string_view name) { return names::Below(module_, name); };
  const at::Tensor qr = RmsNorm(
      RunLinear(tap, {.module = site(names::kWqA), .weight = wq_a_}, batch, x), q_norm_, norm_eps_);
  sequence.q_in = TakeInput(tap, {.module = site(names::kWqB), .weight = wq_b_}, batch, qr);
  const at::Tensor kv = RunLinear(tap, {.module = site(names::kWkv), .weight = wkv_}, batch, x);
  sequence.kv = Join(past.kv, Rotate(RmsNorm(kv, kv_norm_, norm_eps_), sequence.rope,
                                     /*per_head=*/false));
  const int64_t kept = std::min(window_ - 1, sequence.kv.size(1));
  past.kv = sequence.kv.slice(1, sequence.kv.size(1) - kept).clone();
  if (compressor_) {
    compressor_->Append(x, past.entries);
    sequence.entries = past.entries.entries;
  }
  if (indexer_) {
    sequence.index_q_in = TakeInput(
        tap,
        {.module = names::Below(site(names::kIndexer), names::kWqB), .weight = indexer_->wq_b()},
        batch, qr);
    indexer_->compressor().Append(x, past.indexed);
    sequence.index_keys = past.indexed.entries;
  }
  return sequence;
}

Attention::Keys Attention::WindowKeys(const Sequence& sequence, int64_t begin, int64_t end) const {
  const int64_t before = sequence.kv.size(1) - sequence.x.size(1);
  const int64_t first = std::max<int64_t>(before + begin - window_ + 1, 0);
  const at::Tensor query = Positions(before + begin, before + end, sequence.kv).unsqueeze(-1);
  const at::Tensor key = Positions(first, before + end, sequence.kv);
  const at::Tensor visible = (key <= query).logical_and_(key > query - window_);
  return {sequence.kv.slice(1, first, before + end),
          visible.unsqueeze(0).expand({sequence.kv.size(0), -1, -1})};
}

Attention::Keys Attention::EntryKeys(const Sequence& sequence, int64_t begin, int64_t end) const {
  const int64_t ratio = compressor_->ratio();
  const int64_t first = sequence.first;
  const int64_t count = (first + end) / ratio;  // windows that are complete at the last query
  const at::Tensor query = Positions(first + begin, first + end, sequence.kv).unsqueeze(-1);
  const at::Tensor window_end = (Positions(0, count, sequence.kv) + 1) * ratio;
  const at::Tensor causal = (window_end <= query + 1).unsqueeze(0);
  const at::Tensor entries = sequence.entries.slice(1, 0, count);
  if (!indexer_) return {entries, causal.expand({entries.size(0), -1, -1})};
  return {entries, indexer_->Select(sequence.x.slice(1, begin, end),
                                    sequence.index_q_in.slice(1, begin, end),
                                    sequence.rope.Slice(begin, end),
                                    sequence.index_keys.slice(1, 0, count), causal)};
}

// -> [B, C, h, d], the rotation of the values undone.
at::Tensor Attention::AttendChunk(const Sequence& sequence, int64_t begin, int64_t end) const {
  const RopeTable rope = sequence.rope.Slice(begin, end);
  const at::Tensor projected = Linear(sequence.q_in.slice(1, begin, end), wq_b_)
                                   .view({sequence.x.size(0), end - begin, heads_, head_dim_});
  const at::Tensor q = Rotate(RmsNormalize(projected, norm_eps_), rope, /*per_head=*/true);
  Keys keys = WindowKeys(sequence, begin, end);
  if (compressor_) {
    const Keys entries = EntryKeys(sequence, begin, end);
    keys = {at::cat({keys.values, entries.values}, 1), at::cat({keys.visible, entries.visible}, 2)};
  }
  return Rotate(AttendWithSink(q, keys.values, keys.visible, sink_), rope.Inverse(),
                /*per_head=*/true);
}

at::Tensor Attention::ProjectOutput(const at::Tensor& heads, const TokenBatch& batch,
                                    Tap& tap) const {
  const int64_t batch_size = heads.size(0), queries = heads.size(1);
  const int64_t group_width = heads_ * head_dim_ / groups_;
  const at::Tensor grouped = TakeInput(
      tap, {.module = names::Below(module_, names::kWoA), .weight = wo_a_, .groups = groups_},
      batch, heads.reshape({-1, groups_, group_width}));
  const at::Tensor low_rank = GroupedLinear(grouped, wo_a_);
  return RunLinear(tap, {.module = names::Below(module_, names::kWoB), .weight = wo_b_}, batch,
                   low_rank)
      .view({batch_size, queries, -1});
}

at::Tensor AttendWithSink(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& visible,
                          const at::Tensor& sink) {
  const int64_t batch = q.size(0), queries = q.size(1), heads = q.size(2), d = q.size(3);
  const TensorCores cores(q);
  const at::Tensor values = keys.to(at::kFloat);
  // One key head serves all query heads, so a query's heads are rows of one product.
  const at::Tensor rows = q.to(at::kFloat).reshape({batch, queries * heads, d});
  at::Tensor p = MatrixProducts(rows, values.transpose(1, 2), kLeastEqualBatch)
                     .view({batch, queries, heads, -1});
  const double scale = 1.0 / std::sqrt(static_cast<double>(d));
  if (const auto device = DeviceForward::For(p)) {
    device->Softmax(p, visible, sink, scale);
  } else {
    SoftmaxWithSink(p.mul_(scale), visible, sink);
  }
  const at::Tensor out =
      MatrixProducts(p.view({batch, queries * heads, -1}), values, kLeastEqualBatch);
  return out.view({batch, queries, heads, d}).to(q.scalar_type());
}

}  // namespace vernier::calib::deepseek_v4
