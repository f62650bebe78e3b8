// Products of a few rows with weights on a CPU, which are read once, as they are. Making the
// weights ready for faster products, as BLAS and a widened copy do, would take several times as
// long.
#ifndef VERNIER_CALIB_FAMILIES_FEW_ROWS_H_
#define VERNIER_CALIB_FAMILIES_FEW_ROWS_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// Whether x [T, K] times w [N, K] is such a product.
bool IsOfFewRows(const at::Tensor& x, const at::Tensor& w);

// x [T, K] F32 times w [N, K] transposed, BF16 or F32 -> [T, N] F32. On at most
// at::get_num_threads() threads, whose number does not change the result.
at::Tensor MultiplyFewRows(const at::Tensor& x, const at::Tensor& w);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_FEW_ROWS_H_
