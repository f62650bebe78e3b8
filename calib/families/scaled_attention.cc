#include "calib/families/scaled_attention.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <vector>

#include "base/rounding.h"
#include "calib/budget/loop_constants.h"
#include "calib/device_forward.h"
#include "calib/families/linear.h"
#include "calib/families/row_tiles.h"
#include "calib/families/tensor_cores.h"

namespace vernier::calib {
namespace {

// x [B, S, n, d] as positions from `begin` on of `all`, which comes to be with the first.
void Put(const at::Tensor& x, int64_t begin, int64_t positions, at::Tensor& all) {
  if (!all.defined()) {
    all = at::empty({x.size(0), x.size(2), positions, x.size(3)}, x.options().dtype(at::kFloat));
  }
  all.narrow(2, begin, x.size(1)).copy_(x.transpose(1, 2));
}

// Which keys [first, end) the queries [begin, end) see: bool [C, K].
at::Tensor Visible(int64_t begin, int64_t first, int64_t end, int64_t window, at::Device device) {
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(device);
  const at::Tensor query = at::arange(begin, end, options).unsqueeze(-1);
  const at::Tensor key = at::arange(first, end, options);
  const at::Tensor causal = key <= query;
  return window == 0 ? causal : causal.logical_and(key > query - window);
}

// What a chunk of queries sees of keys and values, and how.
struct Sight {
  int64_t begin = 0;   // position of the first query
  int64_t window = 0;  // 0: none
  double scale = 1;
  at::Tensor chosen = {};  // [B, C, keys up to the last query], or undefined: all
  at::Tensor sinks = {};   // [n, g] F32, if there are any
};

// In place: p [B n, C g, K] of keys from position `first` on, minus infinity where `chosen`
// [B, C, first + K] says that a query does not see a key.
void DropRejected(const at::Tensor& p, int64_t first, const at::Tensor& chosen) {
  const int64_t batch = chosen.size(0), queries = chosen.size(1);
  const at::Tensor rejected = chosen.slice(2, first).logical_not().unsqueeze(1).unsqueeze(3);
  p.view({batch, p.size(0) / batch, queries, p.size(1) / queries, p.size(2)})
      .masked_fill_(rejected, -std::numeric_limits<double>::infinity());
}

// In place: the softmax of scaled scores p [B n, C, g, K] of keys from position `first` on.
void SoftmaxOfSeen(at::Tensor p, int64_t first, const Sight& sight) {
  const int64_t queries = p.size(1), end = sight.begin + queries;
  p.mul_(sight.scale);
  if (queries > 1) {  // one sees them all
    // Without a window all queries see every key before theirs.
    const int64_t masked = sight.window == 0 ? sight.begin : first;
    p.slice(-1, masked - first)
        .masked_fill_(
            Visible(sight.begin, masked, end, sight.window, p.device()).logical_not().unsqueeze(1),
            -std::numeric_limits<double>::infinity());
  }
  if (!sight.sinks.defined()) {
    p.sub_(p.amax(-1, /*keepdim=*/true)).exp_();
    p.div_(p.sum(-1, /*keepdim=*/true));
    return;
  }
  const int64_t sequences = p.size(0) / sight.sinks.size(0);
  const at::Tensor sinks = sight.sinks.repeat({sequences, 1}).unsqueeze(1).unsqueeze(-1);
  const at::Tensor largest = at::maximum(p.amax(-1, /*keepdim=*/true), sinks);
  p.sub_(largest).exp_();
  p.div_(p.sum(-1, /*keepdim=*/true).add_((sinks - largest).exp_()));
}

// q [B, C, n, g, d]: g query heads of each of n key heads; keys [B, n, S, d], values [B, n, S, v],
// F32 -> [B, C, n, g, v] F32.
at::Tensor AttendHeads(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                       const Sight& sight) {
  const int64_t batch = q.size(0), queries = q.size(1), shared = q.size(2), group = q.size(3);
  const int64_t end = sight.begin + queries;
  const int64_t first =
      sight.window == 0 ? 0 : std::max<int64_t>(sight.begin - sight.window + 1, 0);
  const auto seen = [&](const at::Tensor& x) { return x.slice(2, first, end).flatten(0, 1); };

  // The query heads of one key head are rows of one product: [B n, C g, d].
  const at::Tensor rows =
      q.transpose(1, 2).to(at::kFloat).reshape({batch * shared, queries * group, -1});
  const int64_t together = kLeastEqualBatch * shared;
  at::Tensor p = MatrixProducts(rows, seen(keys).transpose(1, 2), together);
  if (sight.chosen.defined()) DropRejected(p, first, sight.chosen);
  if (const auto device = DeviceForward::For(p)) {
    device->Softmax(p,
                    {.group = group,
                     .queries = queries,
                     .begin = sight.begin,
                     .first = first,
                     .window = sight.window,
                     .shared = shared},
                    sight.scale, sight.sinks);
  } else {
    SoftmaxOfSeen(p.view({batch * shared, queries, group, -1}), first, sight);
  }
  return MatrixProducts(p, seen(values), together)
      .view({batch, shared, queries, group, -1})
      .transpose(1, 2);
}

}  // namespace

void KeyValues::Append(const at::Tensor& keys, const at::Tensor& values) {
  Put(keys, length_, positions_, keys_);
  Put(values, length_, positions_, values_);
  length_ += keys.size(1);
}

void KeyValues::AppendIndex(const at::Tensor& keys) {
  Put(keys.unsqueeze(2), index_length_, positions_, index_keys_);
  index_length_ += keys.size(1);
}

at::Tensor KeyValues::index_keys() const {
  return index_keys_.defined() ? index_keys_.select(1, 0).narrow(1, 0, index_length_)
                               : at::Tensor();
}

at::Tensor KeyValues::Attend(const at::Tensor& q, int64_t begin, int64_t window, double scale,
                             const ScoreChanges& changes) const {
  const at::Tensor &chosen = changes.chosen, &sinks = changes.sinks;
  const int64_t batch = q.size(0), queries = q.size(1), heads = q.size(2);
  const int64_t shared = keys_.size(1);
  assert(heads % shared == 0);
  const at::Tensor grouped = q.view({batch, queries, shared, heads / shared, -1});
  const at::Tensor out =
      at::empty({batch, queries, shared, heads / shared, values_.size(-1)}, q.options());
  const at::Tensor by_key = sinks.defined() ? sinks.view({shared, -1}) : sinks;
  if (!q.is_cpu() || queries == 1) {
    const TensorCores cores(q);
    out.copy_(AttendHeads(grouped, keys_, values_, {begin, window, scale, chosen, by_key}));
    return out.flatten(2, 3);
  }
  // A tile is some queries of one sequence and one key head.
  const int64_t tiles = CeilDivide(queries, kQueryTile);
  ForRowTiles(q.device(), batch * shared * tiles, 1, [&](int64_t i, int64_t) {
    const int64_t sequence = i / tiles / shared, head = i / tiles % shared;
    const int64_t from = i % tiles * kQueryTile, to = std::min(from + kQueryTile, queries);
    const auto part = [&](const at::Tensor& x, int64_t head_axis) {
      return x.narrow(0, sequence, 1).narrow(head_axis, head, 1);
    };
    const at::Tensor of_tile =
        chosen.defined() ? chosen.narrow(0, sequence, 1).slice(1, from, to).slice(2, 0, begin + to)
                         : chosen;
    part(out, 2)
        .slice(1, from, to)
        .copy_(AttendHeads(part(grouped, 2).slice(1, from, to), part(keys_, 1), part(values_, 1),
                           {begin + from, window, scale, of_tile,
                            by_key.defined() ? by_key.narrow(0, head, 1) : by_key}));
  });
  return out.flatten(2, 3);
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
