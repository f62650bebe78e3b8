// The compute device and its memory.
#ifndef VERNIER_CALIB_DEVICE_H_
#define VERNIER_CALIB_DEVICE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string_view>

#include "calib/budget/budget.h"
#include "recipes/recipe.h"

namespace vernier::calib {

// "cpu", "cuda" or "cuda:N". kBadDevice when the name is none of these, or when this build or
// machine has no such device.
at::Device ParseDevice(std::string_view name);

at::ScalarType ToScalarType(recipes::ComputeDtype dtype);

// Free memory of the host and of `device`, in bytes.
MachineMemory ReadMachineMemory(at::Device device);

// Sets the number of threads of libtorch's operators to ComputeThreadCount(threads). Its own
// default counts cores as it understands the machine, which on some is half of them or one.
void SetThreads(int threads);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_H_
