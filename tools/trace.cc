// vernier trace: hidden states, logits or perplexity of any checkpoint that Vernier reads.
#include "jobs/trace.h"

#include <fmt/format.h>

#include "tools/command.h"
#include "tools/option_names.h"
#include "tools/read_spec.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

jobs::TraceSpec ReadTraceSpec(const Arguments& arguments) {
  jobs::TraceSpec spec;
  spec.perplexity = arguments.Has("--perplexity");
  spec.forward = ReadForwardSpec(arguments);
  arguments.Read("SRC", spec.source);
  arguments.Read("--input-ids", spec.input_ids);
  arguments.Read("--out", spec.out);
  arguments.ReadName("--activations", kActivationChoices, spec.quantize_activations);
  return spec;
}

void Run(const jobs::TraceSpec& spec, const jobs::ModelJobs& models, ProgressStyle style) {
  ProgressWriter progress(style);
  const jobs::TraceSummary summary = models.Trace(spec, progress);
  if (summary.requantised_weights > 0) {
    fmt::print("FP8: {} parts of fused matrices are rounded again to the largest of their scales\n",
               summary.requantised_weights);
  }
  if (!summary.likelihood) return;
  fmt::print("perplexity {:.6f}  ({} windows, {} predicted tokens)\n",
             summary.likelihood->perplexity.value, summary.windows, summary.likelihood->tokens);
}

}  // namespace

int RunTrace(const Arguments& arguments, const CommandContext& context) {
  const jobs::TraceSpec spec = ReadTraceSpec(arguments);
  jobs::CheckTraceSpec(spec);
  Run(spec, RequireTorch(context), context.progress);
  return 0;
}

}  // namespace vernier::tools
