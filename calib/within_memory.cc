#include "calib/within_memory.h"

#include <cstdint>
#include <limits>
#include <optional>

#include "calib/device.h"
#include "calib/device_memory.h"

namespace vernier::calib {
namespace {

// Nothing when the memory ran out.
std::optional<CalibrationSummary> Try(const MemoryAttempts& attempts,
                                      const CalibrationBudget& budget) {
  try {
    return attempts.run(budget);
  } catch (const c10::Error& error) {
    if (!IsOutOfMemory(error)) throw;
    return std::nullopt;
  }
}

}  // namespace

CalibrationSummary CalibrateWithin(ComputeSpec compute, const MemoryAttempts& attempts) {
  const at::Device device = ParseDevice(compute.device);
  ResetPeakMemory(device);
  for (;;) {
    const CalibrationBudget budget = attempts.plan(compute);
    if (std::optional<CalibrationSummary> done = Try(attempts, budget)) return *std::move(done);
    MachineMemory free = {.device_available = std::numeric_limits<uint64_t>::max()};
    if (ReleaseUnusedMemory(device)) free = ReadMachineMemory(device);
    compute.device_memory = LessDeviceMemory(budget, free);
    attempts.ran_out(budget, compute.device_memory.bytes);
  }
}

}  // namespace vernier::calib
