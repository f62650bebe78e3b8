// The order in which GPTQ quantises columns, and the factor by which it compensates (Frantar et
// al., arXiv 2210.17323; quantizers/nvfp4_gptq.h).
#ifndef VERNIER_CALIB_GPTQ_FACTOR_H_
#define VERNIER_CALIB_GPTQ_FACTOR_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace vernier::calib {

struct GptqFactor {
  std::vector<int32_t> order;  // [K]: the column at each position
  at::Tensor upper;            // U [K, K] F32 by positions, contiguous, on the Hessian's device
};

// What is added to the diagonal of H, of its mean.
inline constexpr double kGptqDamping = 0.01;

// Of a sum of x x^T: `hessian` [K, K] F32, of which the upper triangle is read, on any device; 16
// divides K. H is that to a mean diagonal of 1 (what GPTQ chooses does not depend on its unit),
// damped, in the order of Nvfp4GptqOrder, and U^T U its inverse; factorised in F64 on the device.
// Nothing where H is 0 or has no such factor.
std::optional<GptqFactor> FactorOf(const at::Tensor& hessian);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_GPTQ_FACTOR_H_
