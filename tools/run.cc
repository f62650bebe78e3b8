// vernier run, calibrate and export: the pipeline with all its steps, its first, or its last two.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/command.h"
#include "tools/pipeline.h"
#include "tools/recipe_options.h"
#include "tools/torch_steps.h"

namespace vernier::tools {
namespace {

void AddPipelineCommand(CLI::App& app, CommandContext& context, const std::string& name,
                        const std::string& description, std::vector<Step> steps) {
  CLI::App* command = app.add_subcommand(name, description);
  auto options = std::make_shared<RecipeOptions>();
  AddRecipeOptions(*command, *options);
  command->callback([&context, options, steps = std::move(steps)] {
    const recipes::Recipe recipe = LoadRecipe(*options);
    if (steps.front() == Step::kCalibrate && recipes::ObservesInputs(recipe)) {
      RequireTorch(context.argv);
    }
    RunPipeline(OpenSource(recipe), recipe, steps, context);
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
