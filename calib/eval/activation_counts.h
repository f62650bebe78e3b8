// What a checkpoint asks engines to do to the inputs of its linear layers, counted.
#ifndef VERNIER_CALIB_EVAL_ACTIVATION_COUNTS_H_
#define VERNIER_CALIB_EVAL_ACTIVATION_COUNTS_H_

#include <cstdint>
#include <vector>

#include "calib/eval/result.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// By ActivationFormat, over the linear layers of the decoder and its head, without MTP. Inputs that
// no forward pass here replaces (a head's) are counted as not emulated where they are quantised.
// Reads every input scale; errors of ReadActivationQuantization.
std::vector<ActivationCount> CountActivations(const checkpoint::SourceModel& model);

// Vectors that attention caches in FP8 (ReadCacheScales).
int64_t CountFp8Caches(const checkpoint::SourceModel& model);

// Whether anything of these two is quantised in an emulated way.
bool EmulatesActivations(const checkpoint::SourceModel& model);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EVAL_ACTIVATION_COUNTS_H_
