// A device by its number.
#ifndef VERNIER_CALIB_DEVICE_INDEX_H_
#define VERNIER_CALIB_DEVICE_INDEX_H_

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace vernier::calib {

// "cuda" means the current one.
inline at::Device WithIndex(at::Device device) {
  return device.has_index() ? device : c10::impl::VirtualGuardImpl(device.type()).getDevice();
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_INDEX_H_
