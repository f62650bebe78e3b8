// What the first products of a process on a CUDA device take half a second for.
#ifndef VERNIER_CALIB_DEVICE_START_H_
#define VERNIER_CALIB_DEVICE_START_H_

#include <ATen/ATen.h>

#include <thread>

namespace vernier::calib {

// Makes a CUDA device ready beside what a command does first: its library of products and our
// kernels. Nothing on other devices.
class DeviceStart {
 public:
  // For products of values of `dtype`, and of F32.
  DeviceStart(at::Device device, at::ScalarType dtype);
  // Waits until the device is ready. Before the first product: the library's handle, and the memory
  // it works with, then go to whoever computes, instead of being made twice. What failed is tried,
  // and reported, where it is needed.
  void Wait();

 private:
  std::jthread thread_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_START_H_
