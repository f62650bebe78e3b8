// vernier run, calibrate and export: the pipeline with all its steps, its first, or its last two.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "jobs/pipeline.h"
#include "tools/command.h"
#include "tools/command_line.h"
#include "tools/progress_writer.h"
#include "tools/read_spec.h"
#include "tools/run_summary.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

using jobs::Step;

int RunSteps(const Arguments& arguments, const CommandContext& context,
             const std::vector<Step>& steps) {
  const recipes::Recipe recipe = ReadRecipe(arguments);
  const bool calibrates = steps.front() == Step::kCalibrate && recipes::ObservesInputs(recipe);
  std::vector<std::string> evaluation_data;
  if (steps.back() != Step::kCalibrate) arguments.Read("--eval", evaluation_data);
  const bool runs_model = calibrates || !evaluation_data.empty();
  const jobs::ModelJobs* models = runs_model ? &RequireTorch(context) : nullptr;
  if (!recipe.shipped_as.empty()) {
    fmt::print("recipe       {}: {}\n", recipe.shipped_as, recipe.description);
  }
  ProgressWriter progress(context.progress);
  FinishPipeline(jobs::RunPipeline({.recipe = recipe,
                                    .steps = steps,
                                    .evaluation_data = std::move(evaluation_data),
                                    .command = RepeatableCommand(context.argv)},
                                   models, progress),
                 steps.front() == Step::kCalibrate && arguments.Has("--timings"));
  return 0;
}

}  // namespace

int RunRun(const Arguments& arguments, const CommandContext& context) {
  return RunSteps(arguments, context, {Step::kCalibrate, Step::kExport, Step::kValidate});
}

int RunCalibrate(const Arguments& arguments, const CommandContext& context) {
  return RunSteps(arguments, context, {Step::kCalibrate});
}

int RunExport(const Arguments& arguments, const CommandContext& context) {
  return RunSteps(arguments, context, {Step::kExport, Step::kValidate});
}

}  // namespace vernier::tools
