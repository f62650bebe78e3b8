// What a finished calibration measured for a budget.
#ifndef VERNIER_RUN_MEASURED_ERRORS_H_
#define VERNIER_RUN_MEASURED_ERRORS_H_

#include "recipes/format_choice.h"
#include "run/store.h"

namespace vernier::run {

// Empty without a budget.
recipes::MeasuredErrors LoadMeasuredErrors(const Store& store);

}  // namespace vernier::run

#endif  // VERNIER_RUN_MEASURED_ERRORS_H_
