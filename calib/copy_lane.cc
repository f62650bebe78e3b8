#include "calib/copy_lane.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "calib/device_index.h"

namespace vernier::calib {
namespace {

c10::Stream CurrentStream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(WithIndex(device));
}

c10::Stream StreamBeside(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(WithIndex(device));
}

}  // namespace

Fence::Fence(const c10::Stream& stream)
    : event_(std::make_shared<c10::Event>(stream.device_type())) {
  event_->record(stream);
}

void Fence::HoldBack(const c10::Stream& stream) const {
  if (event_) event_->block(stream);
}

CopyLane::CopyLane(at::Device device) : device_(device) {
  if (!device.is_cpu()) stream_ = StreamBeside(device);
}

c10::Stream CopyLane::Computing() const { return CurrentStream(device_); }

at::Tensor CopyLane::Allocate(int64_t bytes) {
  at::Tensor memory = at::empty({bytes}, at::TensorOptions().dtype(at::kByte).device(device_));
  if (stream_) Fence(Computing()).HoldBack(*stream_);
  return memory;
}

Fence CopyLane::Copy(const at::Tensor& to, const at::Tensor& from) {
  if (!stream_) {
    to.copy_(from);
    return {};
  }
  const c10::StreamGuard guard(*stream_);
  to.copy_(from, /*non_blocking=*/true);
  return Fence(*stream_);
}

void CopyLane::WaitFor(const Fence& fence) const {
  if (stream_) fence.HoldBack(Computing());
}

AsideOf::AsideOf(at::Device device, const Fence& after) {
  if (device.is_cpu()) return;
  const c10::Stream stream = StreamBeside(device);
  after.HoldBack(stream);
  guard_.reset_stream(stream);
}

Fence FenceOf(at::Device device) {
  return device.is_cpu() ? Fence() : Fence(CurrentStream(device));
}

}  // namespace vernier::calib
