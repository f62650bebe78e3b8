// A pass of all samples through layers of a model: what calibration, evaluation and layer tests
// have in common.
#ifndef VERNIER_CALIB_PASS_H_
#define VERNIER_CALIB_PASS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/progress.h"
#include "calib/budget/budget.h"
#include "calib/device_start.h"
#include "calib/families/decoder.h"
#include "calib/freed_memory.h"
#include "calib/layer_loop.h"
#include "calib/layer_state.h"
#include "calib/non_finite_guard.h"
#include "calib/sample_buffer.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

struct PassInputs {
  const Decoder& decoder;
  const datasets::CalibrationSet& tokens;
  const CalibrationBudget& budget;
  at::Device device;
  at::ScalarType compute_dtype;
  std::filesystem::path directory;  // for buffers in files, where the budget wants those
  bool all_experts = false;         // every expert observes every token
  StageTimes* times = nullptr;      // of the layers' stages
  bool reads_next = true;           // the next layer ahead; false: hooks.layer_done runs the layer
                                    // once more, and does
};

// Where a pass begins.
struct PassStart {
  int64_t layer = 0;
  std::shared_ptr<SampleBuffer> hidden;  // what that layer reads
  std::optional<LayerState> begun = {};  // that layer, where some of it is done already
};

// Advances the phase that `progress` is in.
struct PassProgress {
  Progress& progress;
  double units_per_layer = 1;
  std::string_view what = {};  // empty: "layer 3/61"
};

struct PassHooks {
  // Called between two units of a layer's work: `state` can be saved now and gone on from later.
  // What it throws ends the pass.
  std::function<void(int64_t layer, LayerState& state)> unit_done = {};
  // Called when a layer has ended. Returns what the next one reads: state.out(), wherever it may be
  // by then.
  std::function<std::shared_ptr<SampleBuffer>(int64_t layer, LayerState& state)> layer_done = {};
};

class Pass {
 public:
  // What `inputs` refers to must outlive it.
  explicit Pass(const PassInputs& inputs);
  Pass(const Pass&) = delete;  // states refer to its loop
  Pass& operator=(const Pass&) = delete;

  const LayerLoop& loop() const { return loop_; }

  // The embedding of all samples: in memory, or in `file_name` of the directory.
  std::shared_ptr<SampleBuffer> Embed(std::string_view file_name) const;

  // Runs layers [start.layer, end); returns the hidden states behind the last (of no layers:
  // start.hidden). Errors are those of LayerLoop::RunLayer.
  std::shared_ptr<SampleBuffer> Run(PassStart start, int64_t end, NonFiniteGuard& guard,
                                    const PassProgress& progress,
                                    const PassHooks& hooks = {}) const;

 private:
  KeptFreedMemory memory_;
  mutable DeviceStart device_;
  LayerLoop loop_;
  bool reads_next_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_PASS_H_
