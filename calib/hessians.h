// What GPTQ needs of a linear layer's input: the Hessian of most rows, and the others.
#ifndef VERNIER_CALIB_HESSIANS_H_
#define VERNIER_CALIB_HESSIANS_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace vernier::calib {

// `x` [rows, K] (BF16 or F32): tokens from number `first` on.

// Adds x x^T of the tokens that InputSample leaves to `sums` [K * K] F32
// (statistics/input_hessian.h), on one device with x. Products of F32, so that they differ with the
// number of rows in a call: callers cut tokens in one way.
void AddHessian(const at::Tensor& x, int64_t first, const at::Tensor& sums);

// Puts those that InputSample has into `rows` [256 * K] F32.
void AddSample(const at::Tensor& x, int64_t first, const at::Tensor& rows);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_HESSIANS_H_
