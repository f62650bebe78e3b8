// vernier layertest: one layer of a source and of a quantised checkpoint on the same activations.
#include "jobs/layertest.h"

#include "jobs/forward_spec.h"
#include "tools/command.h"
#include "tools/layertest_text.h"
#include "tools/progress_writer.h"
#include "tools/read_spec.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

jobs::LayerTestSpec ReadLayerTestSpec(const Arguments& arguments) {
  jobs::LayerTestSpec spec;
  spec.overrides = arguments.RecipeOverrides();
  arguments.Read("SRC", spec.source);
  arguments.Read("QUANTISED", spec.quantized);
  arguments.Read("--layer", spec.layer);
  arguments.Read("--recipe", spec.recipe);
  arguments.Read("--input-ids", spec.input_ids);
  arguments.ReadName("--expert-input-scale", jobs::kExpertInputScales, spec.expert_input_scale);
  return spec;
}

}  // namespace

int RunLayertest(const Arguments& arguments, const CommandContext& context) {
  const jobs::LayerTestSpec spec = ReadLayerTestSpec(arguments);
  jobs::CheckLayerTestSpec(spec);
  const jobs::ModelJobs& models = RequireTorch(context);
  ProgressWriter progress(context.progress);
  const calib::LayerTestResult result = models.TestLayer(spec, progress);
  PrintOrWriteJson(arguments, jobs::LayerTestJson(result), LayerTestText(result));
  return 0;
}

}  // namespace vernier::tools
