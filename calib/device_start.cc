#include "calib/device_start.h"

#include <c10/core/InferenceMode.h>

#include "calib/device_forward.h"
#include "calib/device_statistics.h"

namespace vernier::calib {
namespace {

void MakeReady(at::Device device, at::ScalarType dtype) {
  constexpr int64_t kSide = 64;
  const c10::InferenceMode inference;
  const at::Tensor x = at::ones({1, kSide, kSide}, at::dtype(dtype).device(device));
  at::mm(x[0], x[0]);
  const at::Tensor wide = x.to(at::kFloat);
  at::bmm(wide, wide);
  DeviceForward::ProblemOf(device);
  DeviceStatistics::ProblemOf(device);
}

}  // namespace

DeviceStart::DeviceStart(at::Device device, at::ScalarType dtype) {
  if (!device.is_cuda()) return;
  thread_ = std::jthread([device, dtype] {
    try {
      MakeReady(device, dtype);
    } catch (...) {  // such as a device without free memory
    }
  });
}

void DeviceStart::Wait() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace vernier::calib
