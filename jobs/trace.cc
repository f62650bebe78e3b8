#include "jobs/trace.h"

#include "calib/budget/budget.h"
#include "calib/device.h"
#include "calib/requantised_weights.h"
#include "calib/trace.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"
#include "jobs/forward_job.h"
#include "jobs/scratch_directory.h"

namespace vernier::jobs {

TraceSummary Trace(const TraceSpec& spec, ProgressListener& listener) {
  CheckTraceSpec(spec);
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(spec.source);
  const datasets::CalibrationSet tokens =
      calib::ReadTokenIds(spec.input_ids, source.family->Dims().vocab_size);
  const calib::ComputeSpec compute = ComputeOf(spec.forward);
  calib::SetThreads(compute.threads);
  const calib::CalibrationBudget budget = calib::PlanBudget(
      source, compute, {.samples = tokens.samples, .sequence_length = tokens.sequence_length},
      ReadMemory(compute.device));
  const ScratchDirectory scratch;
  const calib::TraceRequest request = {.source = source,
                                       .compute = compute,
                                       .budget = budget,
                                       .tokens = tokens,
                                       .scratch_directory = scratch.path(),
                                       .quantize_activations = spec.quantize_activations,
                                       .expert_input_scale = spec.forward.expert_input_scale};
  Progress progress(listener, {{"trace", 1.0}});
  TraceSummary summary{.windows = tokens.samples,
                       .requantised_weights = calib::RequantisedWeights(source).count()};
  if (spec.perplexity) {
    summary.likelihood = calib::MeasureLikelihood(request, progress);
  } else {
    calib::WriteTrace(request, spec.out, progress);
  }
  return summary;
}

}  // namespace vernier::jobs
