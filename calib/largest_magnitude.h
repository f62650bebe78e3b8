// max |x| in one pass over x, whatever the device.
#ifndef VERNIER_CALIB_LARGEST_MAGNITUDE_H_
#define VERNIER_CALIB_LARGEST_MAGNITUDE_H_

#include <ATen/ATen.h>

#include "calib/device_forward.h"
#include "calib/statistics/input_amax.h"

namespace vernier::calib {

// `x`: floating, not empty -> a scalar of its dtype or F32, on its device; NaN if there is one.
inline at::Tensor LargestMagnitude(const at::Tensor& x) {
  if (const auto device = DeviceForward::For(x)) return device->LargestMagnitude(x).squeeze();
  return statistics::InputAmax::Observe(x);
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LARGEST_MAGNITUDE_H_
