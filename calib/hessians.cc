#include "calib/hessians.h"

#include <cassert>

#include "calib/block_hessians.h"
#include "calib/f32_products.h"
#include "calib/families/row_tiles.h"
#include "calib/statistics/input_sample.h"

namespace vernier::calib {
namespace {

using statistics::InputSample;

// Rows of the matrix that one thread makes at a time.
constexpr int64_t kTile = 128;

// Tokens before number `token` that InputSample has.
int64_t SampledBefore(int64_t token) { return InputSample::CountOf(token); }

// Tokens from `first` on, as rows of x, that InputSample has.
at::Tensor SampledRows(const at::Tensor& x, int64_t first) {
  const int64_t from = SampledBefore(first), to = SampledBefore(first + x.size(0));
  const at::Tensor numbers = at::arange(from, to, at::dtype(at::kLong).device(x.device()));
  return x.index_select(0, numbers * InputSample::kEvery + (InputSample::kEvery - 1 - first));
}

// All others: behind the last that it has they are as they are, and before it one in kEvery is
// missing.
at::Tensor OtherRows(const at::Tensor& x, int64_t first) {
  const int64_t end = first + x.size(0);
  const int64_t sampled = SampledBefore(end) - SampledBefore(first);
  if (sampled == 0) return x;
  const int64_t from = first - SampledBefore(first);
  const at::Tensor numbers =
      at::arange(from, from + x.size(0) - sampled, at::dtype(at::kLong).device(x.device()));
  const at::Tensor before =
      numbers.div(InputSample::kEvery - 1, "floor").clamp_max(InputSample::kRows);
  return x.index_select(0, numbers + before - first);
}

}  // namespace

void AddHessian(const at::Tensor& x, int64_t first, const at::Tensor& sums) {
  const int64_t columns = x.size(1);
  assert(sums.numel() == columns * columns && sums.scalar_type() == at::kFloat);
  const at::Tensor others = OtherRows(x, first).contiguous();
  const at::Tensor rows = x.is_cpu() ? others.to(at::kFloat) : others;
  const at::Tensor hessian = sums.view({columns, columns});
  const int64_t tile = x.is_cpu() ? kTile : columns;
  ForRowTiles(x.device(), columns, tile, [&](int64_t begin, int64_t end) {
    const at::Tensor part = rows.slice(1, begin, end).t().unsqueeze(0);
    const at::Tensor products = F32Products(part, rows.slice(1, begin).unsqueeze(0)).squeeze(0);
    hessian.slice(0, begin, end)
        .slice(1, begin)
        .add_(products.nan_to_num(0, kMostOfOneCall, -kMostOfOneCall));
  });
}

void AddSample(const at::Tensor& x, int64_t first, const at::Tensor& rows) {
  const int64_t before = SampledBefore(first), end = SampledBefore(first + x.size(0));
  if (before == end) return;
  rows.view({InputSample::kRows, x.size(1)}).slice(0, before, end).copy_(SampledRows(x, first));
}

}  // namespace vernier::calib
