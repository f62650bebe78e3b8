// Matrix products that are summed and kept in F32, whatever the operands are.
#ifndef VERNIER_CALIB_F32_PRODUCTS_H_
#define VERNIER_CALIB_F32_PRODUCTS_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// Matrices a [B, M, K] times b [B, K, N] of one dtype, F32 or BF16, whose products are exact in F32
// -> [B, M, N] F32. With a libtorch that has such products for the device BF16 is multiplied as it
// is, else widened.
at::Tensor F32Products(const at::Tensor& a, const at::Tensor& b);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_F32_PRODUCTS_H_
