// A calibration that goes on with less of the device's memory when others have taken it.
#ifndef VERNIER_CALIB_WITHIN_MEMORY_H_
#define VERNIER_CALIB_WITHIN_MEMORY_H_

#include <functional>

#include "calib/budget/budget.h"
#include "calib/calibrate.h"

namespace vernier::calib {

// What is tried, and with which sizes.
struct MemoryAttempts {
  // A budget for what is free now; kBudgetTooSmall.
  std::function<CalibrationBudget(const ComputeSpec& compute)> plan;
  // Calibrates what is not durable yet. Frees its memory also when it throws.
  std::function<CalibrationSummary(const CalibrationBudget& budget)> run;
  // Told of each budget that did not suffice, and of the bytes that the next one may have.
  std::function<void(const CalibrationBudget& failed, uint64_t next)> ran_out;
};

// Runs with a budget of `compute`; where the device's memory does not suffice after all, again with
// less of it (LessDeviceMemory), until it does or kBudgetTooSmall says what it needs.
CalibrationSummary CalibrateWithin(ComputeSpec compute, const MemoryAttempts& attempts);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_WITHIN_MEMORY_H_
