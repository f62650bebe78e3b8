// What tests of the layer loop share.
#ifndef VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_
#define VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "calib/recorder.h"
#include "calib/tap.h"
#include "datasets/calibration_set.h"
#include "run/store.h"

namespace vernier::calib {

datasets::CalibrationSet RandomTokens(int64_t samples, int64_t length, int64_t vocab);

// Shows `x` [..., K] to a tap as the input of a linear layer.
void ShowInput(Tap& tap, std::string_view module, const at::Tensor& x);

// What was recorded of a layer, and then nothing more.
std::vector<run::InputAmax> TakeInputs(Recorder& recorder, int64_t layer);

// What a loop leaves behind.
struct LoopResult {
  at::Tensor hidden;
  std::vector<run::InputAmax> inputs;
};

// Expects equal bits.
void ExpectSame(const LoopResult& a, const LoopResult& b);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_
