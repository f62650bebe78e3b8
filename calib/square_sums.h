// Sums of squares of linear layers' inputs.
#ifndef VERNIER_CALIB_SQUARE_SUMS_H_
#define VERNIER_CALIB_SQUARE_SUMS_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// Adds the squares of x [rows, K] (BF16 or F32) down its columns to `sums` [K] F64, on one device
// with it. On a CPU row by row (quantizers/square_sums.h), so that it does not matter how rows are
// cut into calls; elsewhere the sums of a call are made in F32. Finite values give finite sums.
void AddSquares(const at::Tensor& x, const at::Tensor& sums);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_SQUARE_SUMS_H_
