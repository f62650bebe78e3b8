// vernier trace: hidden states, logits or perplexity of any checkpoint that Vernier reads.
#include "jobs/trace.h"

#include <fmt/format.h>

#include <memory>

#include "tools/command.h"
#include "tools/forward_options.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

void AddTraceOptions(CLI::App& command, jobs::TraceSpec& spec) {
  command.add_option("SRC", spec.source, "Checkpoint directory")->required();
  command
      .add_option("--input-ids", spec.input_ids,
                  "Safetensors file with tensor input_ids [B, S] (I64 or I32)")
      ->required();
  command.add_option("--out", spec.out,
                     "Safetensors file to write: hidden.<layer> and logits, all F32");
  command.add_flag("--perplexity", spec.perplexity,
                   "Print the perplexity over the rows of input_ids as windows instead");
  AddActivationsOption(command, spec.quantize_activations);
  AddForwardOptions(command, spec.forward);
}

void Run(const jobs::TraceSpec& spec, const jobs::ModelJobs& models, ProgressStyle style) {
  ProgressWriter progress(style);
  const jobs::TraceSummary summary = models.Trace(spec, progress);
  if (!summary.likelihood) return;
  fmt::print("perplexity {:.6f}  ({} windows, {} predicted tokens)\n",
             summary.likelihood->perplexity.value, summary.windows, summary.likelihood->tokens);
}

}  // namespace

void AddTraceCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "trace",
      "Run token ids through a checkpoint, layer by layer as in calibration, and write the hidden "
      "states behind every layer and the logits, or print the perplexity");
  auto options = std::make_shared<jobs::TraceSpec>();
  AddTraceOptions(*command, *options);
  command->callback([options, &context] {
    jobs::CheckTraceSpec(*options);
    Run(*options, RequireTorch(context), context.progress);
  });
}

}  // namespace vernier::tools
