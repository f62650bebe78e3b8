#include "calib/hessians.h"

#include <cassert>
#include <vector>

#include "calib/block_hessians.h"
#include "calib/families/row_tiles.h"
#include "calib/statistics/input_sample.h"

namespace vernier::calib {
namespace {

using statistics::InputSample;

// Rows of the matrix that one thread makes at a time.
constexpr int64_t kTile = 128;

// Rows of x, in order: those that are sampled, or all others.
at::Tensor RowsOf(const at::Tensor& x, int64_t first, bool sampled) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < x.size(0); ++row) {
    if (InputSample::Has(first + row) == sampled) rows.push_back(row);
  }
  if (static_cast<int64_t>(rows.size()) == x.size(0)) return x;
  return x.index_select(0, at::tensor(rows, at::kLong).to(x.device()));
}

}  // namespace

void AddHessian(const at::Tensor& x, int64_t first, const at::Tensor& sums) {
  const int64_t columns = x.size(1);
  assert(sums.numel() == columns * columns && sums.scalar_type() == at::kFloat);
  const at::Tensor rows = RowsOf(x, first, /*sampled=*/false).to(at::kFloat).contiguous();
  const at::Tensor hessian = sums.view({columns, columns});
  ForRowTiles(x.device(), columns, x.is_cpu() ? kTile : columns, [&](int64_t begin, int64_t end) {
    at::Tensor upper = hessian.slice(0, begin, end).slice(1, begin);
    upper.addmm_(rows.slice(1, begin, end).t(), rows.slice(1, begin));
    upper.nan_to_num_(0, kMostOfOneCall, -kMostOfOneCall);
  });
}

void AddSample(const at::Tensor& x, int64_t first, const at::Tensor& rows) {
  const int64_t before = InputSample::CountOf(first);
  const int64_t count = InputSample::CountOf(first + x.size(0)) - before;
  if (count == 0) return;
  rows.view({InputSample::kRows, x.size(1)})
      .slice(0, before, before + count)
      .copy_(RowsOf(x, first, /*sampled=*/true));
}

}  // namespace vernier::calib
