// Some rows of a weight, by which decisions about all of them are made.
#ifndef VERNIER_CALIB_SAMPLED_ROWS_H_
#define VERNIER_CALIB_SAMPLED_ROWS_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"

namespace vernier::calib {

inline constexpr int64_t kSampledRows = 512;

// At most kSampledRows rows, in stretches spread evenly, as stored [n, K] on the CPU.
at::Tensor SampleWeightRows(const checkpoint::SourceModel& source,
                            const checkpoint::WeightReader& reader, size_t weight);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_SAMPLED_ROWS_H_
