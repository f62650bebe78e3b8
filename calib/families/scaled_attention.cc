#include "calib/families/scaled_attention.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <vector>

namespace vernier::calib {
namespace {

at::Tensor HeadsFirst(const at::Tensor& x) { return x.to(at::kFloat).transpose(1, 2).contiguous(); }

// Which keys [first, end) the queries [begin, end) see: bool [C, K].
at::Tensor Visible(int64_t begin, int64_t first, int64_t end, int64_t window, at::Device device) {
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(device);
  const at::Tensor query = at::arange(begin, end, options).unsqueeze(-1);
  const at::Tensor key = at::arange(first, end, options);
  const at::Tensor causal = key <= query;
  return window == 0 ? causal : causal.logical_and(key > query - window);
}

// In place: exp(p - max) / sum over the last axis.
void SoftmaxInPlace(at::Tensor& p) {
  p.sub_(p.amax(-1, /*keepdim=*/true)).exp_();
  p.div_(p.sum(-1, /*keepdim=*/true));
}

}  // namespace

KeyValues::KeyValues(const at::Tensor& keys, const at::Tensor& values)
    : keys_(HeadsFirst(keys)), values_(HeadsFirst(values)) {}

at::Tensor KeyValues::Attend(const at::Tensor& q, int64_t begin, int64_t window,
                             double scale) const {
  const int64_t batch = q.size(0), queries = q.size(1), heads = q.size(2);
  const int64_t shared = keys_.size(1), group = heads / shared;
  assert(heads % shared == 0);
  const int64_t end = begin + queries;
  const int64_t first = window == 0 ? 0 : std::max<int64_t>(begin - window + 1, 0);
  const auto seen = [&](const at::Tensor& x) { return x.slice(2, first, end).flatten(0, 1); };

  // The query heads of one key head are rows of one product: [B n, C g, d].
  const at::Tensor rows = q.to(at::kFloat)
                              .view({batch, queries, shared, group, -1})
                              .transpose(1, 2)
                              .reshape({batch * shared, queries * group, -1});
  at::Tensor p = at::bmm(rows, seen(keys_).transpose(1, 2)).mul_(scale);
  p.view({batch * shared, queries, group, -1})
      .masked_fill_(Visible(begin, first, end, window, q.device()).logical_not().unsqueeze(1),
                    -std::numeric_limits<double>::infinity());
  SoftmaxInPlace(p);
  return at::bmm(p, seen(values_))
      .view({batch, shared, queries, group, -1})
      .transpose(1, 2)
      .reshape({batch, queries, heads, -1})
      .to(q.scalar_type());
}

at::Tensor InChunks(int64_t length, int64_t chunk,
                    const std::function<at::Tensor(int64_t begin, int64_t end)>& run) {
  assert(chunk > 0);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < length; begin += chunk) {
    parts.push_back(run(begin, std::min(begin + chunk, length)));
  }
  return at::cat(parts, 1);
}

}  // namespace vernier::calib
