#include "calib/routed_rows.h"

#include <cassert>

namespace vernier::calib {

RoutedRows::RoutedRows(const at::Tensor& chosen, const at::Tensor& weights, int64_t experts) {
  assert(chosen.sizes() == weights.sizes());
  const int64_t per_token = chosen.size(1);
  // Padding, -1, becomes an expert before the first.
  const at::Tensor expert = chosen.reshape({-1}).to(at::kLong) + 1;
  const at::Tensor counts = at::bincount(expert, {}, experts + 1).cpu();
  const int64_t padding = counts.data_ptr<int64_t>()[0];
  const at::Tensor order =
      std::get<1>(at::sort(expert, /*stable=*/true, /*dim=*/0, /*descending=*/false))
          .slice(0, padding);
  rows_ = order.div(per_token, "floor");
  weights_ = weights.reshape({-1}).index_select(0, order).unsqueeze(1);
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
