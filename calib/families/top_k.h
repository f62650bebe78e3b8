// Selection of the largest scores with a defined order among equals.
#ifndef VERNIER_CALIB_FAMILIES_TOP_K_H_
#define VERNIER_CALIB_FAMILIES_TOP_K_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace vernier::calib {

// scores [..., N] F32, k <= N -> indices [..., k] I64 of the k largest, best first. Among equal
// scores (-0 equals 0) the lower index comes first, on every device.
at::Tensor TopIndices(const at::Tensor& scores, int64_t k);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_TOP_K_H_
