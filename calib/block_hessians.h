// Sums of outer products of blocks of 16 channels of linear layers' inputs.
#ifndef VERNIER_CALIB_BLOCK_HESSIANS_H_
#define VERNIER_CALIB_BLOCK_HESSIANS_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// Adds x_b x_b^T of the rows of x [rows, K] (BF16 or F32), K a multiple of 16, to `sums`
// [K / 16 * 136] F32 (statistics/input_block_hessian.h), on one device with it. On a CPU row by row
// (quantizers/outer_products.h), so that it does not matter how rows are cut into calls. No sum
// goes beyond kMostOfOneCall in magnitude by one call.
void AddBlockHessians(const at::Tensor& x, const at::Tensor& sums);

// Far from the largest F32, so that sums of finite values are finite.
inline constexpr double kMostOfOneCall = 0x1p90;

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BLOCK_HESSIANS_H_
