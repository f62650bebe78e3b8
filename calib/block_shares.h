// What blocks of a layer add to the hidden states.
#ifndef VERNIER_CALIB_BLOCK_SHARES_H_
#define VERNIER_CALIB_BLOCK_SHARES_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// |after - before|^2 / |after|^2 of each token, F32 [tokens, 1], from 0 to
// statistics::BlockShare::kLargest; 0 where `after` is 0. Both [B, S, ...] of B S tokens.
at::Tensor SharesOf(const at::Tensor& before, const at::Tensor& after);

// The sum of such shares in whole steps: I64.
at::Tensor SumOfShares(const at::Tensor& shares);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BLOCK_SHARES_H_
