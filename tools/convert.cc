// vernier convert and dequantize: weights alone, without calibration and without libtorch.
#include "jobs/convert.h"

#include <string>
#include <vector>

#include "export/layout_packs.h"
#include "recipes/recipe_values.h"
#include "tools/command.h"
#include "tools/command_line.h"
#include "tools/progress_writer.h"
#include "tools/run_summary.h"

namespace vernier::tools {
namespace {

jobs::ConversionPlaces ReadPlaces(const Arguments& arguments) {
  jobs::ConversionPlaces places;
  places.overrides = arguments.RecipeOverrides();
  arguments.Read("SOURCE", places.source);
  arguments.Read("OUTPUT", places.output);
  return places;
}

jobs::ConvertSpec ReadConvertSpec(const Arguments& arguments) {
  jobs::ConvertSpec spec;
  spec.places = ReadPlaces(arguments);
  spec.validate = arguments.Has("--validate");
  arguments.Read("--recipe", spec.recipe);
  arguments.ReadName("--weights", recipes::FormatNames(), spec.weights);
  arguments.ReadName("--method", recipes::kScaleMethods, spec.method);
  arguments.ReadName("--dialect", recipes::DialectNames(), spec.dialect);
  std::vector<std::string> layouts;
  arguments.Read("--layout", layouts);
  for (const std::string& name : layouts) {
    spec.layouts.push_back(exporter::KernelLayoutFromName(name));
  }
  return spec;
}

}  // namespace

int RunConvert(const Arguments& arguments, const CommandContext& context) {
  jobs::ConvertSpec spec = ReadConvertSpec(arguments);
  spec.command = RepeatableCommand(context.argv);
  ProgressWriter progress(context.progress);
  FinishPipeline(jobs::Convert(spec, progress));
  return 0;
}

int RunDequantize(const Arguments& arguments, const CommandContext& context) {
  ProgressWriter progress(context.progress);
  FinishPipeline(jobs::Dequantize(
      {.places = ReadPlaces(arguments), .command = RepeatableCommand(context.argv)}, progress));
  return 0;
}

}  // namespace vernier::tools
