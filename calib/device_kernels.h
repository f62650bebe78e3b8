// CUDA C that is compiled for the device when it is first needed, with what PyTorch's CUDA build
// brings along: the CUDA toolkit is needed neither to build nor to run.
#ifndef VERNIER_CALIB_DEVICE_KERNELS_H_
#define VERNIER_CALIB_DEVICE_KERNELS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace vernier::calib {

// Like x and contiguous, where fours of elements may be loaded together.
at::Tensor Packed(const at::Tensor& x);

// The kernels of one source, on the device that was current when they were compiled. Thread-safe.
class DeviceKernels {
 public:
  // Null, and why in `problem`, where they cannot be compiled. Needs a device that is in use
  // already. c10::OutOfMemoryError where that has no room for them.
  static std::unique_ptr<DeviceKernels> Compile(const std::string& source, std::string& problem);
  virtual ~DeviceKernels() = default;

  struct Grid {
    unsigned x = 1, y = 1;  // blocks
    unsigned threads = 1;   // of a block
  };
  // On the device's default stream. `arguments`: the address of each. kBadDevice when the device
  // refuses one, c10::OutOfMemoryError when it has no room for it.
  virtual void Launch(const char* name, Grid grid, std::vector<void*> arguments) const = 0;
};

// The kernels of one source on each device, compiled when one first asks for them. Thread-safe.
class KernelsOfSource {
 public:
  // `source` must outlive it.
  explicit KernelsOfSource(const char* source) : source_(source) {}

  // Null where the device is none of CUDA's or cannot compile them, or where this thread computes
  // on another than its default stream.
  const DeviceKernels* Find(at::Device device);
  // Why a CUDA device cannot; empty: it can, or it is none.
  std::string ProblemOf(at::Device device);

 private:
  struct Made {
    std::unique_ptr<DeviceKernels> kernels;  // null: there is a problem
    std::string problem;
  };
  const Made& Of(at::Device device);

  const char* source_;
  std::mutex mutex_;
  std::map<int, Made> made_;  // by index of the device
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_KERNELS_H_
