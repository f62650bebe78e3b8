#include "calib/families/delta_rule.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/rounding.h"
#include "calib/budget/loop_constants.h"

namespace vernier::calib {
namespace {

// x [..., P, d], or with `last` [..., P], with chunks of `size` positions for P: [..., G, size, d].
// Positions that are missing are zeros, which leave a state as it is.
at::Tensor InDeltaChunks(const at::Tensor& x, int64_t size, bool last = false) {
  const int64_t axis = last ? -1 : -2;
  const int64_t positions = x.size(axis), missing = RoundUp(positions, size) - positions;
  if (missing == 0) return x.unflatten(axis, {-1, size});
  std::vector<int64_t> shape = x.sizes().vec();
  shape.at(shape.size() - (last ? 1 : 2)) = missing;
  return at::cat({x, at::zeros(shape, x.options())}, axis).unflatten(axis, {-1, size});
}

// What the chunks need of each other, [N, r, G, ...] of G chunks of n positions.
struct DeltaChunks {
  at::Tensor values;     // [n, dv]: what is learnt where the state holds nothing
  at::Tensor overwrite;  // [n, dk]: what reads of the state before the chunk is overwritten
  at::Tensor attention;  // [n, n]: what queries read of the chunk's own keys
  at::Tensor queries;    // [n, dk], decayed since the chunk's begin
  at::Tensor keys;       // [n, dk], decayed until the chunk's end
  at::Tensor decay;      // [1, 1], of the whole chunk
};

// exp(sum of log_decay over positions j + 1 to i): [..., n, n], 0 above the diagonal.
at::Tensor DecayBetween(const at::Tensor& sums) {
  const at::Tensor later =
      at::ones({sums.size(-1), sums.size(-1)}, sums.options().dtype(at::kBool)).triu(1);
  return (sums.unsqueeze(-1) - sums.unsqueeze(-2))
      .masked_fill_(later, -std::numeric_limits<double>::infinity())
      .exp_();
}

DeltaChunks MakeChunks(const DeltaRuleInputs& in, int64_t size) {
  const at::Tensor queries = InDeltaChunks(in.queries, size).unsqueeze(1);
  const at::Tensor keys = InDeltaChunks(in.keys, size).unsqueeze(1);
  const at::Tensor rates = InDeltaChunks(in.rates, size, /*last=*/true).unsqueeze(-1);
  const at::Tensor sums = InDeltaChunks(in.log_decay, size, /*last=*/true).cumsum(-1);
  const at::Tensor between = DecayBetween(sums), since = sums.exp().unsqueeze(-1);
  const at::Tensor transposed = keys.transpose(-1, -2);
  const at::Tensor system = at::matmul(keys, transposed) * rates * between;
  const at::Tensor learnt =
      at::cat({InDeltaChunks(in.values, size) * rates, keys * rates * since}, -1);
  const at::Tensor solved = at::linalg_solve_triangular(system, learnt, /*upper=*/false,
                                                        /*left=*/true, /*unitriangular=*/true);
  const int64_t width = in.values.size(-1);
  const at::Tensor whole = sums.slice(-1, size - 1);
  return {.values = solved.slice(-1, 0, width),
          .overwrite = solved.slice(-1, width),
          .attention = at::matmul(queries, transposed) * between,
          .queries = queries * since,
          .keys = keys * (whole - sums).exp_().unsqueeze(-1),
          .decay = whole.exp().unsqueeze(-1)};
}

// The smallest power of two that is no less, so that few positions are not filled up to many.
int64_t ChunkOf(int64_t positions) {
  int64_t size = 1;
  while (size < std::min(positions, kDeltaChunk)) size *= 2;
  return size;
}

}  // namespace

at::Tensor RunDeltaRule(const DeltaRuleInputs& inputs, at::Tensor& state) {
  const int64_t positions = inputs.values.size(2);
  const DeltaChunks chunks = MakeChunks(inputs, ChunkOf(positions));
  const at::Tensor out = at::empty_like(chunks.values, at::MemoryFormat::Contiguous);
  for (int64_t chunk = 0; chunk < out.size(2); ++chunk) {
    const auto at_chunk = [chunk](const at::Tensor& x) { return x.select(2, chunk); };
    const at::Tensor learnt =
        at_chunk(chunks.values) - at::matmul(at_chunk(chunks.overwrite), state);
    at_chunk(out).copy_(at::matmul(at_chunk(chunks.queries), state) +
                        at::matmul(at_chunk(chunks.attention), learnt));
    state = state * at_chunk(chunks.decay) +
            at::matmul(at_chunk(chunks.keys).transpose(-1, -2), learnt);
  }
  return out.flatten(2, 3).slice(2, 0, positions);
}

}  // namespace vernier::calib
