// CUDA C that is compiled for the device when it is first needed, with what PyTorch's CUDA build
// brings along: the CUDA toolkit is needed neither to build nor to run.
#ifndef VERNIER_CALIB_DEVICE_KERNELS_H_
#define VERNIER_CALIB_DEVICE_KERNELS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vernier::calib {

// The kernels of one source, on the CUDA device that is current. Launches go to the device's
// default stream. Thread-safe.
class DeviceKernels {
 public:
  // Null, and why in `problem`, where they cannot be compiled. Needs a device that is in use
  // already.
  static std::unique_ptr<DeviceKernels> Compile(const std::string& source, std::string& problem);
  ~DeviceKernels();
  DeviceKernels(const DeviceKernels&) = delete;
  DeviceKernels& operator=(const DeviceKernels&) = delete;

  struct Grid {
    unsigned x = 1, y = 1;  // blocks
    unsigned threads = 1;   // of a block
  };
  // `arguments`: the address of each. kBadDevice when the device refuses one.
  void Launch(const char* name, Grid grid, std::vector<void*> arguments) const;

 private:
  struct Impl;
  explicit DeviceKernels(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_KERNELS_H_
