// vernier run, calibrate and export: the pipeline with all its steps, its first, or its last two.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jobs/pipeline.h"
#include "tools/command.h"
#include "tools/command_line.h"
#include "tools/progress_writer.h"
#include "tools/recipe_options.h"
#include "tools/run_summary.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

using jobs::Step;

void AddPipelineCommand(CLI::App& app, CommandContext& context, const std::string& name,
                        const std::string& description, std::vector<Step> steps) {
  CLI::App* command = app.add_subcommand(name, description);
  auto options = std::make_shared<RecipeOptions>();
  AddRecipeOptions(*command, *options);
  command->callback([&context, options, steps = std::move(steps)] {
    const recipes::Recipe recipe = LoadRecipe(*options);
    const bool calibrates = steps.front() == Step::kCalibrate && recipes::ObservesInputs(recipe);
    const jobs::ModelJobs* models = calibrates ? &RequireTorch(context) : nullptr;
    ProgressWriter progress(context.progress);
    FinishPipeline(jobs::RunPipeline(
        {.recipe = recipe, .steps = steps, .command = RepeatableCommand(context.argv)}, models,
        progress));
  });
}

}  // namespace

void AddRunCommand(CLI::App& app, CommandContext& context) {
  AddPipelineCommand(
      app, context, "run",
      "Calibrate, export and validate as the recipe says. The same command continues "
      "after an interruption: finished layers and shards are kept.",
      {Step::kCalibrate, Step::kExport, Step::kValidate});
}

void AddCalibrateCommand(CLI::App& app, CommandContext& context) {
  AddPipelineCommand(
      app, context, "calibrate",
      "Only calibrate: record activation amax in the run directory's store. Continues "
      "at the layer where an earlier run stopped.",
      {Step::kCalibrate});
}

void AddExportCommand(CLI::App& app, CommandContext& context) {
  AddPipelineCommand(app, context, "export",
                     "Only export (and validate) from a finished calibration in the run directory: "
                     "after a failed export, or with other export settings. Never calibrates.",
                     {Step::kExport, Step::kValidate});
}

}  // namespace vernier::tools
