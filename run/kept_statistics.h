// Which statistics a calibration keeps of what.
#ifndef VERNIER_RUN_KEPT_STATISTICS_H_
#define VERNIER_RUN_KEPT_STATISTICS_H_

#include <string_view>

#include "calib/statistics/statistic.h"
#include "checkpoint/model_layout.h"
#include "recipes/plan.h"

namespace vernier::run {

// Whether it keeps this one of a linear layer or cache that is observed, if it is one of its site:
// of those with a purpose, whether the plan has it there.
bool KeepsStatistic(const statistics::Statistic& statistic, const checkpoint::ModelLayout& layout,
                    const recipes::Plan& plan, std::string_view module);

}  // namespace vernier::run

#endif  // VERNIER_RUN_KEPT_STATISTICS_H_
