// A tensor's values as kernels of quantizers/ take them.
#ifndef VERNIER_CALIB_REALS_H_
#define VERNIER_CALIB_REALS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::calib {

// Values [begin, begin + count) of x (BF16 or F32, contiguous, on the CPU).
inline quantizers::RealSpan RealsOf(const at::Tensor& x, int64_t begin, int64_t count) {
  const auto size = static_cast<size_t>(count);
  if (x.scalar_type() == at::kFloat) {
    return std::span<const float>(x.data_ptr<float>() + begin, size);
  }
  const auto* bf16 = reinterpret_cast<const uint16_t*>(x.data_ptr<at::BFloat16>());
  return std::span<const uint16_t>(bf16 + begin, size);
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_REALS_H_
