// What a checkpoint asks engines to do to the inputs of its linear layers, counted.
#ifndef VERNIER_CALIB_EVAL_ACTIVATION_COUNTS_H_
#define VERNIER_CALIB_EVAL_ACTIVATION_COUNTS_H_

#include <cstdint>
#include <vector>

#include "calib/eval/result.h"
#include "checkpoint/formats/activation_format.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// By ActivationFormat, over the linear layers of the decoder and its head, without MTP. Inputs that
// no forward pass here replaces (a head's) are counted as not emulated where they are quantised.
// Reads every input scale; errors of ReadActivationQuantization.
std::vector<ActivationCount> CountActivations(const checkpoint::SourceModel& model);

// Vectors that attention caches in this format (ReadKvCaches).
int64_t CountCaches(const checkpoint::SourceModel& model, checkpoint::ActivationFormat format);

// Whether anything of these two is quantised in an emulated way.
bool EmulatesActivations(const checkpoint::SourceModel& model);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EVAL_ACTIVATION_COUNTS_H_
