// Greedy continuation of prompts.
#ifndef VERNIER_CALIB_GENERATE_H_
#define VERNIER_CALIB_GENERATE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "calib/activation_format.h"
#include "calib/budget/budget.h"
#include "calib/budget/resident.h"
#include "calib/budget/workload.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

struct GenerateRequest {
  const checkpoint::SourceModel& source;
  const ComputeSpec& compute;
  const CalibrationBudget& budget;  // for all prompts at their final length
  // The same, where the model fits the device as a whole.
  std::optional<ResidentBudget> resident = {};
  std::vector<std::vector<int32_t>> prompts;  // ids, none empty
  int64_t tokens = 32;                        // at most, for each prompt
  std::optional<int32_t> eos = {};            // ends a continuation, and is not part of it
  bool quantize_activations = false;          // as engines do (calib/activation_quantizer.h)
  ExpertInputScale expert_input_scale = ExpertInputScale::kLargest;
  std::filesystem::path scratch_directory;  // for spilled buffers; nobody else uses it
};

struct Continuation {
  std::vector<int32_t> ids;
  bool ended = false;  // by EOS
};

// Calls `seen(prompt, id)` as each token is found. The most probable token is taken, the lower id
// of two. With a resident budget the model is loaded once and attention has a cache. Without, or
// where a family's attention takes whole sequences only, every token is a pass of all unfinished
// prompts over the whole model, layer by layer like a calibration and in its memory. Progress
// phase: "generate".
std::vector<Continuation> Generate(const GenerateRequest& request,
                                   const std::function<void(size_t, int32_t)>& seen,
                                   Progress& progress);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_GENERATE_H_
