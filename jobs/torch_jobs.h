// The jobs that run a model, by libtorch.
#ifndef VERNIER_JOBS_TORCH_JOBS_H_
#define VERNIER_JOBS_TORCH_JOBS_H_

#include "jobs/model_jobs.h"

namespace vernier::jobs {

class TorchJobs final : public ModelJobs {
 public:
  calib::MachineMemory ReadMemory(std::string_view device) const override;
  calib::ComputeSpeed MeasureSpeed(const checkpoint::SourceModel& source,
                                   const recipes::Recipe& recipe,
                                   const recipes::Plan& plan) const override;
  CalibrationOutcome Calibrate(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                               const recipes::Plan& plan, run::Store& store,
                               Progress& progress) const override;
  EvalSummary Evaluate(const EvalSpec& spec, ProgressListener& listener) const override;
  std::vector<GeneratedText> Generate(const GenerateSpec& spec, const TextSeen& seen,
                                      ProgressListener& listener) const override;
  calib::LayerTestResult TestLayer(const LayerTestSpec& spec,
                                   ProgressListener& listener) const override;
  TraceSummary Trace(const TraceSpec& spec, ProgressListener& listener) const override;
};

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_TORCH_JOBS_H_
