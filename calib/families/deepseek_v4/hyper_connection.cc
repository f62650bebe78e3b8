#include "calib/families/deepseek_v4/hyper_connection.h"

#include <functional>
#include <string>
#include <string_view>

#include "calib/device_forward.h"
#include "calib/families/linear.h"
#include "calib/families/rms_norm.h"
#include "calib/families/row_tiles.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {
namespace {

namespace names = checkpoint::deepseek_v4;

std::string InStreamHead(std::string_view name) {
  return std::string(names::kStreamHead).append(name);
}

// Calls `run(begin, end)` for tokens of the streams `hidden` [B, S, n, D], all of them: at once on
// a CPU, elsewhere as many as RowsOfTile has, so that F32 copies stay small.
void ForTokens(const at::Tensor& hidden, const std::function<void(int64_t, int64_t)>& run) {
  const int64_t tokens = hidden.size(0) * hidden.size(1);
  const int64_t columns = hidden.size(2) * hidden.size(3);
  if (hidden.is_cpu()) return run(0, tokens);
  ForRowTiles(hidden.device(), tokens, RowsOfTile(hidden.device(), columns), run);
}

// What the streams say about how to mix them: [T, rows of fn] F32.
at::Tensor MixLogits(const at::Tensor& hidden, const at::Tensor& fn, double norm_eps) {
  const at::Tensor flat = hidden.reshape({-1, hidden.size(-2) * hidden.size(-1)});
  const at::Tensor logits = at::empty({flat.size(0), fn.size(0)}, flat.options().dtype(at::kFloat));
  ForTokens(hidden, [&](int64_t begin, int64_t end) {
    const at::Tensor rows = RmsNormalizeF32(flat.slice(0, begin, end), norm_eps);
    logits.slice(0, begin, end).copy_(LinearF32(rows, fn));
  });
  return logits;
}

// sum_i pre[:, i] * hidden_i; pre [T, n] -> [B, S, D], hidden's dtype.
at::Tensor WeightedSum(const at::Tensor& hidden, const at::Tensor& pre) {
  const int64_t n = hidden.size(2), width = hidden.size(3);
  if (const auto device = DeviceForward::For(hidden); device && width % DeviceForward::kFour == 0) {
    return device->JoinStreams(hidden, pre).view({hidden.size(0), hidden.size(1), width});
  }
  const at::Tensor streams = hidden.reshape({-1, n, width});
  const at::Tensor sum = at::empty({streams.size(0), width}, hidden.options());
  ForTokens(hidden, [&](int64_t begin, int64_t end) {
    const at::Tensor weights = pre.slice(0, begin, end).unsqueeze(-1);
    sum.slice(0, begin, end).copy_((streams.slice(0, begin, end) * weights).sum(1));
  });
  return sum.view({hidden.size(0), hidden.size(1), width});
}

// Sinkhorn-Knopp: alternately divides columns and rows by their sums. logits [T, n, n].
at::Tensor DoublyStochastic(const at::Tensor& logits, int64_t iterations, double eps) {
  // The token axis last: sums over n then run over whole vectors of tokens.
  at::Tensor c = (at::softmax(logits, -1) + eps).permute({1, 2, 0}).contiguous();
  c.div_(c.sum(0, /*keepdim=*/true) + eps);
  for (int64_t i = 1; i < iterations; ++i) {
    c.div_(c.sum(1, /*keepdim=*/true) + eps);
    c.div_(c.sum(0, /*keepdim=*/true) + eps);
  }
  return c.permute({2, 0, 1});
}

}  // namespace

at::Tensor StreamMix::Pack() const { return at::cat({post, comb.flatten(1)}, 1); }

StreamMix StreamMix::Unpack(const at::Tensor& packed, int64_t streams) {
  return {packed.slice(1, 0, streams),
          packed.slice(1, streams).reshape({packed.size(0), streams, streams})};
}

HyperConnection::HyperConnection(const TensorLoader& loader, const std::string& prefix,
                                 const checkpoint::DeepseekV4Config& config)
    : fn_(loader.LoadExact(prefix + std::string(names::kStreamFn))),
      base_(loader.LoadExact(prefix + std::string(names::kStreamBase))),
      scale_(loader.LoadExact(prefix + std::string(names::kStreamScale))),
      streams_(config.hc_mult),
      sinkhorn_iters_(config.hc_sinkhorn_iters),
      hc_eps_(config.hc_eps),
      norm_eps_(config.rms_norm_eps) {}

StreamRead HyperConnection::Read(const at::Tensor& hidden) const {
  const int64_t n = streams_;
  const at::Tensor logits = MixLogits(hidden, fn_, norm_eps_);
  // The part [begin, end) of the logits with its scale and base.
  const auto part = [&](int64_t begin, int64_t end, int64_t site) {
    return logits.slice(1, begin, end) * scale_[site] + base_.slice(0, begin, end);
  };
  const at::Tensor pre = at::sigmoid(part(0, n, 0)) + hc_eps_;
  const at::Tensor post = at::sigmoid(part(n, 2 * n, 1)) * 2.0;
  const at::Tensor comb = part(2 * n, (2 + n) * n, 2).reshape({-1, n, n});
  return {WeightedSum(hidden, pre), {post, DoublyStochastic(comb, sinkhorn_iters_, hc_eps_)}};
}

at::Tensor WriteStreams(const at::Tensor& hidden, const at::Tensor& y, const StreamMix& mix) {
  const int64_t n = hidden.size(2), width = hidden.size(3);
  if (const auto device = DeviceForward::For(hidden); device && width % DeviceForward::kFour == 0) {
    return device->MixStreams(hidden, y, mix.post, mix.comb);
  }
  const at::Tensor before = hidden.reshape({-1, n, width}), added = y.reshape({-1, 1, width});
  const at::Tensor after = at::empty(before.sizes(), before.options());
  ForTokens(hidden, [&](int64_t begin, int64_t end) {
    const auto part = [&](const at::Tensor& all) { return all.slice(0, begin, end); };
    const at::Tensor old = part(before).to(at::kFloat);
    at::Tensor streams = part(added).to(at::kFloat) * part(mix.post).unsqueeze(-1);
    for (int64_t j = 0; j < n; ++j) {
      streams.addcmul_(old.slice(1, j, j + 1), part(mix.comb).select(1, j).unsqueeze(-1));
    }
    part(after).copy_(streams);
  });
  return after.view(hidden.sizes());
}

StreamCollapse::StreamCollapse(const TensorLoader& loader,
                               const checkpoint::DeepseekV4Config& config)
    : fn_(loader.LoadExact(InStreamHead(names::kStreamFn))),
      base_(loader.LoadExact(InStreamHead(names::kStreamBase))),
      scale_(loader.LoadExact(InStreamHead(names::kStreamScale))),
      hc_eps_(config.hc_eps),
      norm_eps_(config.rms_norm_eps) {}

at::Tensor StreamCollapse::Collapse(const at::Tensor& hidden) const {
  const at::Tensor logits = MixLogits(hidden, fn_, norm_eps_);
  return WeightedSum(hidden, at::sigmoid(logits * scale_ + base_) + hc_eps_);
}

}  // namespace vernier::calib::deepseek_v4
