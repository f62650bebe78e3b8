// What libtorch's allocator has of a device's memory.
#ifndef VERNIER_CALIB_DEVICE_MEMORY_H_
#define VERNIER_CALIB_DEVICE_MEMORY_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>

namespace vernier::calib {

// Most bytes that tensors of `device` had at once since ResetPeakMemory. Nothing of a CPU, and of
// a libtorch before 2.9, which has no interface for it that needs no CUDA.
std::optional<uint64_t> PeakMemory(at::Device device);
void ResetPeakMemory(at::Device device);

// Gives what no tensor has back to the machine. False where this libtorch cannot be asked to: what
// is free on the device then lacks what the process could use again.
bool ReleaseUnusedMemory(at::Device device);

// Whether an error says that a device's memory did not suffice: for libtorch, or for a library that
// takes memory itself, such as cuBLAS.
bool IsOutOfMemory(const c10::Error& error);

// kOutOfMemory with what libtorch wanted of a device, and what was free; or which library had none.
[[noreturn]] void ThrowOutOfMemory(const c10::Error& error);

// `work()`, where the device's memory suffices for it; otherwise ThrowOutOfMemory.
template <class Work>
auto WithMemoryErrors(Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    if (!IsOutOfMemory(error)) throw;
    ThrowOutOfMemory(error);
  }
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_MEMORY_H_
