// vernier trace: hidden states, logits or perplexity of any checkpoint that Vernier reads.
#include <memory>

#include "base/error.h"
#include "tools/command.h"
#include "tools/torch_steps.h"

namespace vernier::tools {
namespace {

void AddTraceOptions(CLI::App& command, TraceOptions& options) {
  command.add_option("SRC", options.source, "Checkpoint directory")->required();
  command
      .add_option("--input-ids", options.input_ids,
                  "Safetensors file with tensor input_ids [B, S] (I64 or I32)")
      ->required();
  command.add_option("--out", options.out,
                     "Safetensors file to write: hidden.<layer> and logits, all F32");
  command.add_flag("--perplexity", options.perplexity,
                   "Print the perplexity over the rows of input_ids as windows instead");
  AddActivationsOption(command, options.quantize_activations);
  AddForwardOptions(command, options.forward);
}

}  // namespace

void AddTraceCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "trace",
      "Run token ids through a checkpoint, layer by layer as in calibration, and write the hidden "
      "states behind every layer and the logits, or print the perplexity");
  auto options = std::make_shared<TraceOptions>();
  AddTraceOptions(*command, *options);
  command->callback([options, &context] {
    if (options->out.empty() != options->perplexity) {
      throw Error(ErrorCode::kBadArgument, "trace", "nothing or two things to do",
                  "Give either --out or --perplexity");
    }
    RequireTorch(context.argv);
    RunTrace(*options, context.progress);
  });
}

}  // namespace vernier::tools
