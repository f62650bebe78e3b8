#include "tests/calib/loop_support.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <utility>

#include "calib/non_finite_guard.h"
#include "calib/sample_buffer.h"

namespace vernier::calib {

bool HasDevice(at::DeviceType device) { return device == at::kCPU || at::hasCUDA(); }

std::string DeviceName(at::DeviceType device) {
  return c10::DeviceTypeName(device, /*lower_case=*/true);
}

datasets::CalibrationSet RandomTokens(int64_t samples, int64_t length, int64_t vocab) {
  datasets::CalibrationSet tokens;
  tokens.samples = samples;
  tokens.sequence_length = length;
  std::mt19937 random(3);
  for (int64_t i = 0; i < samples * length; ++i) {
    tokens.ids.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
  }
  tokens.lengths.assign(static_cast<size_t>(samples), static_cast<int32_t>(length));
  return tokens;
}

void ShowInput(Tap& tap, std::string_view module, const at::Tensor& x) {
  tap.Observe({.module = module, .weight = x}, x);
}

std::vector<run::InputAmax> InputsOf(Recorder& recorder, int64_t layer) {
  std::vector<run::InputAmax> inputs;
  for (const run::StatisticRow& row : recorder.Rows(static_cast<int>(layer))) {
    if (const auto input = run::AmaxOf(row)) inputs.push_back(*input);
  }
  return inputs;
}

std::vector<run::InputAmax> TakeInputs(Recorder& recorder, int64_t layer) {
  std::vector<run::InputAmax> inputs = InputsOf(recorder, layer);
  recorder.Clear();
  return inputs;
}

LoopResult RunLayers(const LoopModel& model, int64_t layers, const LayerLoopOptions& options) {
  const LayerLoop loop(model.decoder, model.tokens, model.device, at::kFloat, options);
  auto hidden = std::make_shared<SampleBuffer>(loop.MakeHiddenBuffer("hidden"));
  loop.Embed(*hidden);
  Recorder recorder(model.modules);
  NonFiniteGuard guard(recorder);
  LoopResult result;
  for (int64_t layer = 0; layer < layers; ++layer) {
    double last = 0;
    LayerState state = loop.MakeState(layer, hidden);
    loop.RunLayer(layer, state, guard, [&](const LayerState& reached) {
      EXPECT_GE(reached.Fraction(), last);
      last = reached.Fraction();
    });
    EXPECT_EQ(last, 1.0);
    for (run::StatisticRow& row : recorder.Rows(static_cast<int>(layer))) {
      if (const auto input = run::AmaxOf(row)) result.inputs.push_back(*input);
      result.rows.push_back(std::move(row));
    }
    recorder.Clear();
    hidden = state.out();
  }
  result.hidden = hidden->Get(0, model.tokens.samples).cpu().clone();
  return result;
}

void ExpectSame(const LoopResult& a, const LoopResult& b) {
  EXPECT_TRUE(at::equal(a.hidden, b.hidden));
  ASSERT_EQ(a.inputs.size(), b.inputs.size());
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    EXPECT_EQ(a.inputs[i].module, b.inputs[i].module);
    EXPECT_EQ(a.inputs[i].amax, b.inputs[i].amax) << a.inputs[i].module;
    EXPECT_EQ(a.inputs[i].tokens, b.inputs[i].tokens) << a.inputs[i].module;
  }
  ASSERT_EQ(a.rows.size(), b.rows.size());
  for (size_t i = 0; i < a.rows.size(); ++i) {
    EXPECT_EQ(a.rows[i].module, b.rows[i].module);
    EXPECT_EQ(a.rows[i].bytes, b.rows[i].bytes) << a.rows[i].module << " " << a.rows[i].name;
  }
}

}  // namespace vernier::calib
