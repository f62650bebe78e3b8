#include "calib/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "base/error.h"
#include "base/thread_count.h"
#include "calib/budget/host_memory.h"

namespace vernier::calib {
namespace {

// cudaMemGetInfo of whichever CUDA runtime a CUDA build of libtorch has brought into the process;
// looked up by name so that builds without CUDA need neither its headers nor its library.
uint64_t FreeCudaMemory(at::Device device) {
  using MemGetInfo = int (*)(size_t*, size_t*);
  using SetDevice = int (*)(int);
  const auto mem_get_info = reinterpret_cast<MemGetInfo>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
  const auto set_device = reinterpret_cast<SetDevice>(dlsym(RTLD_DEFAULT, "cudaSetDevice"));
  size_t available = 0, total = 0;
  if (mem_get_info == nullptr || set_device == nullptr ||
      set_device(device.has_index() ? device.index() : 0) != 0 ||
      mem_get_info(&available, &total) != 0) {
    throw Error(ErrorCode::kBadDevice, device.str(), "its free memory cannot be read",
                "Set compute.device_memory (--device-memory)");
  }
  return available;
}

// libtorch keeps the low bits of an index: 4096 would be 0.
bool HasSmallIndex(std::string_view name) {
  constexpr std::string_view kPrefix = "cuda:";
  constexpr size_t kDigits = 2;
  return name.size() <= kPrefix.size() + kDigits;
}

}  // namespace

at::Device ParseDevice(std::string_view name) {
  const bool is_cuda = name == "cuda" || name.starts_with("cuda:");
  if (name == "cpu") return at::Device(at::kCPU);
  try {
    if (is_cuda && HasSmallIndex(name) && at::hasCUDA()) {
      const at::Device device{std::string(name)};
      const auto devices = c10::impl::VirtualGuardImpl(at::kCUDA).deviceCount();
      if (device.index() < devices && devices > 0) return device;
    }
  } catch (const c10::Error&) {
    // Falls through: "cuda:x" is no device either.
  }
  throw Error(ErrorCode::kBadDevice, fmt::format("device \"{}\"", name),
              is_cuda ? "this build or machine has no such CUDA device"
                      : "it is neither \"cpu\" nor \"cuda:N\"",
              "Use \"cpu\", or build against a PyTorch with CUDA on a machine that has the device");
}

at::ScalarType ToScalarType(recipes::ComputeDtype dtype) {
  return dtype == recipes::ComputeDtype::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

MachineMemory ReadMachineMemory(at::Device device) {
  const uint64_t host = AvailableHostMemory();
  return {.host_available = host,
          .device_available = device.is_cuda() ? FreeCudaMemory(device) : host};
}

void SetThreads(int threads) { at::set_num_threads(ComputeThreadCount(threads)); }

}  // namespace vernier::calib
