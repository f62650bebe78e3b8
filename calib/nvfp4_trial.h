// Weights as a quick search would leave them in NVFP4, to compare what may be done with them.
#ifndef VERNIER_CALIB_NVFP4_TRIAL_H_
#define VERNIER_CALIB_NVFP4_TRIAL_H_

#include <ATen/ATen.h>

#include <vector>

namespace vernier::calib {

// `weight` [n, K] F32 on any device, quantised (where a device cannot, on the CPU) and dequantised
// there: with a global scale of its own, and block scales of the smallest squared error weighted by
// what each input channel counts (E[x^2], [K], not negative).
at::Tensor RoundTripWeight(const at::Tensor& weight, const std::vector<double>& mean_squares);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_NVFP4_TRIAL_H_
