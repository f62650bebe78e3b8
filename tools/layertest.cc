// vernier layertest: one layer of a source and of a quantised checkpoint on the same activations.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "tools/command.h"
#include "tools/layertest_report.h"
#include "tools/torch_steps.h"

namespace vernier::tools {
namespace {

struct LayertestCommand {
  LayerTestOptions options;
  bool json = false;
  std::string out;
};

void AddDataOptions(CLI::App& command, LayerTestOptions& options) {
  command.add_option("--recipe", options.recipe,
                     "Recipe whose calibration data, dtype and compute section are used, with the "
                     "source's tokenizer");
  command.add_option("--input-ids", options.input_ids,
                     "Instead: safetensors file with tensor input_ids [B, S] (I64 or I32)");
  command.add_option("--samples", options.overrides.samples, "At most this many sequences");
}

void AddLoopOptions(CLI::App& command, LayerTestOptions& options) {
  recipes::Overrides& given = options.overrides;
  command
      .add_option("--dtype", options.dtype,
                  "Compute dtype: float32 or bfloat16 [the recipe's, or bfloat16]")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  command.add_option("--device", given.device, "cpu, cuda or cuda:N [the recipe's, or cpu]");
  command.add_option("--device-memory", given.device_memory,
                     "Budget for weights and batches on the device, e.g. 8GiB");
  command.add_option("--host-memory", given.host_memory,
                     "Budget for hidden states; above it they go to temporary files");
  command.add_option("--batch-size", given.batch_size, "Sequences at a time; 0 chooses");
  command.add_option("--threads", given.threads, "Threads; 0 uses all cores");
}

void Run(const LayertestCommand& command, ProgressStyle style) {
  const calib::LayerTestResult result = RunLayerTest(command.options, style);
  const std::string json = LayerTestJson(result).dump(2) + "\n";
  if (!command.out.empty()) WriteFileAtomically(command.out, json);
  fmt::print("{}", command.json ? json : LayerTestText(result));
}

}  // namespace

void AddLayertestCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "layertest",
      "Run one decoder layer of a source and of a checkpoint quantised from it on real "
      "activations, "
      "and compare linear layers, experts, FFN and output: weights, activations, and both");
  auto layertest = std::make_shared<LayertestCommand>();
  LayerTestOptions& options = layertest->options;
  command->add_option("SRC", options.source, "The released checkpoint")->required();
  command->add_option("QUANTISED", options.quantized, "A checkpoint made from it")->required();
  command->add_option("--layer", options.layer, "The decoder layer, from 0")->required();
  AddDataOptions(*command, options);
  AddLoopOptions(*command, options);
  command->add_flag("--json", layertest->json, "Print JSON instead of a table");
  command->add_option("--out", layertest->out, "Write the JSON to this file as well");
  command->callback([layertest, &context] {
    const LayerTestOptions& given = layertest->options;
    if (given.recipe.empty() == given.input_ids.empty()) {
      throw Error(ErrorCode::kBadArgument, "layertest", "no calibration data, or two kinds of it",
                  "Give either --recipe or --input-ids");
    }
    RequireTorch(context.argv);
    Run(*layertest, context.progress);
  });
}

}  // namespace vernier::tools
