// vernier layertest: one layer of a source and of a quantised checkpoint on the same activations.
#include "jobs/layertest.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/file.h"
#include "tools/command.h"
#include "tools/layertest_text.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

struct LayertestCommand {
  jobs::LayerTestSpec spec;
  bool json = false;
  std::string out;
};

void AddDataOptions(CLI::App& command, jobs::LayerTestSpec& spec) {
  command.add_option("--recipe", spec.recipe,
                     "Recipe whose calibration data, dtype and compute section are used, with the "
                     "source's tokenizer");
  command.add_option("--input-ids", spec.input_ids,
                     "Instead: safetensors file with tensor input_ids [B, S] (I64 or I32)");
  command.add_option("--samples", spec.overrides.samples, "At most this many sequences");
}

void AddLoopOptions(CLI::App& command, jobs::LayerTestSpec& spec) {
  recipes::Overrides& given = spec.overrides;
  command
      .add_option("--dtype", spec.dtype,
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

void Run(const LayertestCommand& command, const jobs::ModelJobs& models, ProgressStyle style) {
  ProgressWriter progress(style);
  const calib::LayerTestResult result = models.TestLayer(command.spec, progress);
  const std::string json = jobs::LayerTestJson(result).dump(2) + "\n";
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
  jobs::LayerTestSpec& spec = layertest->spec;
  command->add_option("SRC", spec.source, "The released checkpoint")->required();
  command->add_option("QUANTISED", spec.quantized, "A checkpoint made from it")->required();
  command->add_option("--layer", spec.layer, "The decoder layer, from 0")->required();
  AddDataOptions(*command, spec);
  AddLoopOptions(*command, spec);
  command->add_flag("--json", layertest->json, "Print JSON instead of a table");
  command->add_option("--out", layertest->out, "Write the JSON to this file as well");
  command->callback([layertest, &context] {
    jobs::CheckLayerTestSpec(layertest->spec);
    Run(*layertest, RequireTorch(context), context.progress);
  });
}

}  // namespace vernier::tools
