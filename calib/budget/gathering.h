// Host memory of weights whose rows lie scattered while they are read.
#ifndef VERNIER_CALIB_BUDGET_GATHERING_H_
#define VERNIER_CALIB_BUDGET_GATHERING_H_

#include <cstdint>

#include "checkpoint/source_model.h"

namespace vernier::calib {

// The most bytes that reading one routed expert's weight takes beside its values: where a stack of
// experts is transposed, all of its expert's slab and its rows, of values and of scales; otherwise
// 0, as rows that only take turns are read a mebibyte at a time.
uint64_t GatheringBytes(const checkpoint::SourceModel& source);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_GATHERING_H_
