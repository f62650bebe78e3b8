#include "calib/routed_rows.h"

#include <cassert>

namespace vernier::calib {

RoutedRows::RoutedRows(const at::Tensor& chosen, const at::Tensor& weights, int64_t experts) {
  assert(chosen.sizes() == weights.sizes());
  const int64_t per_token = chosen.size(1);
  // Padding, -1, becomes an expert before the first.
  const at::Tensor expert = chosen.reshape({-1}).to(at::kLong) + 1;
  const auto [sorted, order] = at::sort(expert, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  const at::Tensor rows = order.div(per_token, "floor");
  const auto is_as_before = [](const at::Tensor& x) { return x.slice(0, 1) == x.slice(0, 0, -1); };
  const at::Tensor twice =
      is_as_before(sorted).logical_and_(is_as_before(rows)).logical_and_(sorted.slice(0, 1) > 0);
  // In one wait for the device.
  const at::Tensor counts =
      at::cat({at::bincount(expert, {}, experts + 1), twice.sum().reshape({1})}).cpu();
  distinct_ = counts.data_ptr<int64_t>()[experts + 1] == 0;
  const int64_t padding = counts.data_ptr<int64_t>()[0];
  rows_ = rows.slice(0, padding);
  weights_ = weights.reshape({-1}).index_select(0, order.slice(0, padding)).unsqueeze(1);
  begin_.push_back(0);
  for (int64_t i = 1; i <= experts; ++i) {
    begin_.push_back(begin_.back() + counts.data_ptr<int64_t>()[i]);
  }
}

RoutedRows::Rows RoutedRows::Of(int64_t expert) const {
  const int64_t begin = begin_[static_cast<size_t>(expert)];
  const int64_t count = Count(expert);
  return {rows_.narrow(0, begin, count), weights_.narrow(0, begin, count)};
}

}  // namespace vernier::calib
