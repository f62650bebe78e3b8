// Looking inside a model: hidden states of every layer, logits, perplexity, by the calibration's
// loop.
#ifndef VERNIER_CALIB_TRACE_H_
#define VERNIER_CALIB_TRACE_H_

#include <cstdint>
#include <filesystem>

#include "base/progress.h"
#include "calib/activation_format.h"
#include "calib/budget/budget.h"
#include "calib/budget/workload.h"
#include "calib/eval/statistics.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

struct TraceRequest {
  const checkpoint::SourceModel& source;
  const ComputeSpec& compute;
  const CalibrationBudget& budget;
  const datasets::CalibrationSet& tokens;   // B samples of S ids
  std::filesystem::path scratch_directory;  // for spilled buffers; nobody else uses it
  bool quantize_activations = false;        // as engines do (calib/activation_quantizer.h)
  ExpertInputScale expert_input_scale = ExpertInputScale::kLargest;
};

// Reads tensor "input_ids" (I64 or I32, [B, S] or [S]) of a safetensors file as B samples; every id
// must be below `vocab_size` (kBadTokenIds).
datasets::CalibrationSet ReadTokenIds(const std::filesystem::path& file, int64_t vocab_size);

// Writes a safetensors file with F32 tensors hidden.<layer> [B, S, ...] (the output of each layer)
// and logits [B, S, V], streamed as layers finish. Progress phase: "trace".
void WriteTrace(const TraceRequest& request, const std::filesystem::path& out, Progress& progress);

// Likelihood of the samples as windows that do not overlap: each predicts its tokens 1..S-1 from
// those before them. Progress phase: "trace".
Likelihood MeasureLikelihood(const TraceRequest& request, Progress& progress);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_TRACE_H_
