// What tests of the layer loop share.
#ifndef VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_
#define VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/layer_loop.h"
#include "calib/recorder.h"
#include "calib/tap.h"
#include "datasets/calibration_set.h"
#include "run/store.h"

namespace vernier::calib {

// What tests of the loop run on. Those of a device that this build or machine has not are skipped,
// visibly.
inline constexpr std::array kTestDevices = {at::kCPU, at::kCUDA};
bool HasDevice(at::DeviceType device);
std::string DeviceName(at::DeviceType device);  // "cpu", "cuda"

datasets::CalibrationSet RandomTokens(int64_t samples, int64_t length, int64_t vocab);

// Shows `x` [..., K] to a tap as the input of a linear layer.
void ShowInput(Tap& tap, std::string_view module, const at::Tensor& x);

// The amax values that were recorded of a layer.
std::vector<run::InputAmax> InputsOf(Recorder& recorder, int64_t layer);
// The same, and then nothing more is recorded.
std::vector<run::InputAmax> TakeInputs(Recorder& recorder, int64_t layer);

// What a loop leaves behind.
struct LoopResult {
  at::Tensor hidden;
  std::vector<run::InputAmax> inputs;
  std::vector<run::StatisticRow> rows = {};  // of all statistics
};

// What a loop runs.
struct LoopModel {
  const Decoder& decoder;
  const datasets::CalibrationSet& tokens;
  const std::vector<std::string>& modules;  // whose inputs are recorded
  at::Device device;
};

// Runs layers [0, layers) in F32. Expects the fraction that is done to rise to 1 in each of them.
LoopResult RunLayers(const LoopModel& model, int64_t layers, const LayerLoopOptions& options);

// Expects equal bits.
void ExpectSame(const LoopResult& a, const LoopResult& b);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_LOOP_SUPPORT_H_
