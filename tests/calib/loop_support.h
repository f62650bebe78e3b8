// What tests of the layer loop share.
#ifndef VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_
#define VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "datasets/calibration_set.h"
#include "run/store.h"

namespace vernier::calib {

datasets::CalibrationSet RandomTokens(int64_t samples, int64_t length, int64_t vocab);

// What a loop leaves behind.
struct LoopResult {
  at::Tensor hidden;
  std::vector<run::InputAmax> inputs;
};

// Expects equal bits.
void ExpectSame(const LoopResult& a, const LoopResult& b);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_
