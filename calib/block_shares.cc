#include "calib/block_shares.h"

#include "calib/families/row_tiles.h"
#include "calib/statistics/block_share.h"

namespace vernier::calib {

using statistics::BlockShare;

at::Tensor SharesOf(const at::Tensor& before, const at::Tensor& after) {
  const at::Tensor from = before.flatten(0, 1).flatten(1), to = after.flatten(0, 1).flatten(1);
  const at::Tensor shares = at::empty({to.size(0), 1}, to.options().dtype(at::kFloat));
  ForRowTiles(to.device(), to.size(0), RowsOfTile(to.device(), to.size(1)),
              [&](int64_t begin, int64_t end) {
                const at::Tensor wide = to.slice(0, begin, end).to(at::kFloat);
                const at::Tensor size = wide.square().sum(1, /*keepdim=*/true);
                const at::Tensor change = (wide - from.slice(0, begin, end)).square_();
                shares.slice(0, begin, end)
                    .copy_((change.sum(1, /*keepdim=*/true) / size)
                               .nan_to_num_(0, BlockShare::kLargest)
                               .clamp_max_(BlockShare::kLargest));
              });
  return shares;
}

at::Tensor SumOfShares(const at::Tensor& shares) {
  return (shares.to(at::kDouble) * BlockShare::kSteps).round_().to(at::kLong).sum();
}

}  // namespace vernier::calib
