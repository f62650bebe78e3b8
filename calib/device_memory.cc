#include "calib/device_memory.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"
#include "calib/device_index.h"

#if __has_include(<c10/core/CachingDeviceAllocator.h>)
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#define VERNIER_HAVE_DEVICE_ALLOCATOR
#endif
#endif

namespace vernier::calib {
namespace {

#ifdef VERNIER_HAVE_DEVICE_ALLOCATOR
// Null for a CPU, and before the device was first used.
c10::DeviceAllocator* AllocatorOf(at::Device device) {
  if (device.is_cpu()) return nullptr;
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device.type());
  return allocator->initialized() ? allocator : nullptr;
}
#endif

// "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ... of which 1.20 GiB is free.": the
// sentences that say so, of several lines with advice for Python programs.
std::string Wanted(std::string_view message) {
  constexpr std::string_view kFree = "is free.";
  const size_t end = message.find(kFree);
  if (end != std::string_view::npos) return std::string(message.substr(0, end + kFree.size()));
  return std::string(message.substr(0, message.find('\n')));
}

}  // namespace

#ifdef VERNIER_HAVE_DEVICE_ALLOCATOR

std::optional<uint64_t> PeakMemory(at::Device device) {
  c10::DeviceAllocator* allocator = AllocatorOf(device);
  if (allocator == nullptr) return std::nullopt;
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return allocator->getDeviceStats(WithIndex(device).index()).allocated_bytes[kAll].peak;
}

void ResetPeakMemory(at::Device device) {
  if (c10::DeviceAllocator* allocator = AllocatorOf(device)) {
    allocator->resetPeakStats(WithIndex(device).index());
  }
}

bool ReleaseUnusedMemory(at::Device device) {
  c10::DeviceAllocator* allocator = AllocatorOf(device);
  if (allocator != nullptr) allocator->emptyCache();
  return true;
}

#else

std::optional<uint64_t> PeakMemory(at::Device) { return std::nullopt; }
void ResetPeakMemory(at::Device) {}
bool ReleaseUnusedMemory(at::Device device) { return device.is_cpu(); }

#endif

bool IsOutOfMemory(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  // cuBLAS has the second where there is no memory for its handle.
  constexpr std::array<std::string_view, 3> kOfLibraries = {
      "CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",
      "CUDA error: out of memory"};
  const std::string_view message = error.what_without_backtrace();
  return std::ranges::any_of(
      kOfLibraries, [&](std::string_view text) { return message.find(text) != message.npos; });
}

void ThrowOutOfMemory(const c10::Error& error) {
  throw Error(ErrorCode::kOutOfMemory, "device memory", Wanted(error.what_without_backtrace()),
              "Lower device_memory or batch_size (--device-memory, --batch-size), or wait until "
              "other programs leave it");
}

}  // namespace vernier::calib
