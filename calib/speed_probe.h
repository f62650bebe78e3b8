// Measures how fast a device computes a model: for forecasts.
#ifndef VERNIER_CALIB_SPEED_PROBE_H_
#define VERNIER_CALIB_SPEED_PROBE_H_

#include "calib/budget/budget.h"
#include "calib/budget/forecast.h"
#include "calib/budget/workload.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// Computes the dense part of the middle layer for a batch of made-up tokens, or less where that
// would take long, and the first of its routed experts for as many rows as an expert has on
// average. Takes about two seconds beside the reading of these weights. Errors: those of loading
// weights, kBadDevice and kInterrupted.
ComputeSpeed MeasureSpeed(const checkpoint::SourceModel& source, const ComputeSpec& compute,
                          const Workload& workload, const CalibrationBudget& budget);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_SPEED_PROBE_H_
