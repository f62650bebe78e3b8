// Copies to a device that run beside what it computes.
#ifndef VERNIER_CALIB_COPY_LANE_H_
#define VERNIER_CALIB_COPY_LANE_H_

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <memory>
#include <optional>

namespace vernier::calib {

// A point in the order of what a device does; on the CPU, where everything is done at once, none.
class Fence {
 public:
  Fence() = default;
  explicit Fence(const c10::Stream& stream);

  bool Passed() const { return !event_ || event_->query(); }
  // What is given to `stream` from now on comes after it.
  void HoldBack(const c10::Stream& stream) const;

 private:
  std::shared_ptr<c10::Event> event_;
};

// A stream of one device beside the one that computes. For one thread at a time.
class CopyLane {
 public:
  explicit CopyLane(at::Device device);

  // U8 [bytes] on the device. Copy may fill it when what computes now is done with the memory.
  at::Tensor Allocate(int64_t bytes);
  // Copies `from`, in pinned memory that must stay until the fence is passed.
  Fence Copy(const at::Tensor& to, const at::Tensor& from);
  // What is computed from now on sees what was copied before the fence.
  void WaitFor(const Fence& fence) const;

 private:
  c10::Stream Computing() const;

  at::Device device_;
  std::optional<c10::Stream> stream_;  // none on the CPU
};

// While it lives, what this thread does on `device` is beside what others do there, behind what
// they were doing when `after` was made. Nothing changes on the CPU.
class AsideOf {
 public:
  AsideOf(at::Device device, const Fence& after);

 private:
  c10::OptionalStreamGuard guard_;
};

// Behind everything that this thread has given to `device`; on the CPU none.
Fence FenceOf(at::Device device);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_COPY_LANE_H_
