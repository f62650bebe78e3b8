// A forward pass of all samples, of which nothing is kept but the last hidden states.
#ifndef VERNIER_CALIB_FORWARD_H_
#define VERNIER_CALIB_FORWARD_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/progress.h"
#include "calib/budget/budget.h"
#include "calib/budget/workload.h"
#include "calib/families/decoder.h"
#include "calib/pass.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

struct ForwardInputs {
  const checkpoint::SourceModel& source;
  const ComputeSpec& compute;
  const CalibrationBudget& budget;
  const datasets::CalibrationSet& tokens;
  std::filesystem::path scratch_directory;  // for spilled buffers; nobody else uses it
  Substitutes* weights = nullptr;           // loaded in place of the checkpoint's, where it has any
};

// kInterrupted when the job is to end, for work of which nothing is kept.
void StopIfAsked(const Progress& progress);

class ModelForward {
 public:
  // What `inputs` refers to must outlive it.
  explicit ModelForward(const ForwardInputs& inputs);

  const Decoder& decoder() const { return *decoder_; }
  const LayerLoop& loop() const { return pass_.loop(); }

  using LayerSeen = std::function<void(int64_t layer, const SampleBuffer& hidden)>;

  // Runs layers [0, layers), whose linear layers `tap` sees and may give other inputs, and calls
  // `seen` as each one ends; returns the hidden states behind the last (of no layers: the
  // embedding). Advances the phase that `progress` is in by one unit a layer. kInterrupted between
  // two units of a layer's work.
  std::shared_ptr<SampleBuffer> Run(int64_t layers, Progress& progress, Tap& tap,
                                    const LayerSeen& seen = {}) const;
  // The same with nobody looking on.
  std::shared_ptr<SampleBuffer> Run(int64_t layers, Progress& progress,
                                    const LayerSeen& seen = {}) const;

 private:
  void RemoveFilesBehind(int64_t layer, const std::filesystem::path& input) const;

  std::filesystem::path scratch_;
  TensorLoader loader_;
  std::unique_ptr<TensorLoader::Substituting> substituting_;
  std::unique_ptr<Decoder> decoder_;
  Pass pass_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FORWARD_H_
