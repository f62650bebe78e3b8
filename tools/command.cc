#include "tools/command.h"

namespace vernier::tools {

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      {.name = "run",
       .summary = "Calibrate, export and validate as the recipe says. The same command continues "
                  "after an interruption: finished layers and shards are kept.",
       .libtorch = Libtorch::kToCalibrate,
       .run = RunRun},
      {.name = "calibrate",
       .summary = "Only calibrate: record activation amax in the run directory's store. Continues "
                  "at the layer where an earlier run stopped.",
       .libtorch = Libtorch::kToCalibrate,
       .run = RunCalibrate},
      {.name = "export",
       .summary = "Only export (and validate) from a finished calibration in the run directory: "
                  "after a failed export, or with other export settings. Never calibrates.",
       .run = RunExport},
      {.name = "convert",
       .summary = "Convert weights, reading and writing each once, in bounded memory. Needs no "
                  "calibration and no libtorch. The same command continues after an interruption.",
       .run = RunConvert},
      {.name = "dequantize",
       .summary = "Write every quantised weight of a checkpoint as BF16, and the rest as it is.",
       .run = RunDequantize},
      {.name = "validate",
       .summary =
           "Check a checkpoint against the rules of vLLM, SGLang and TensorRT-LLM and, with "
           "--source, every tensor against the checkpoint it was made from. Exit code: 0 no errors "
           "(warnings are allowed), 1 errors found, 2 could not check.",
       .run = RunValidate},
      {.name = "report",
       .summary =
           "Write one HTML page about a run and the checkpoint that it made: verdict, errors "
           "by layer, scales, amax, tokens per expert. It needs no network. Audits the "
           "checkpoint again only when it is not what the run left.",
       .run = RunReport},
      {.name = "status",
       .summary =
           "Tell what a run has done, what is left and the command that continues it. Writes "
           "nothing; the run may be at work.",
       .run = RunStatus},
      {.name = "amax",
       .summary =
           "Print a run's calibrated amax values and other statistics as JSON, compare those "
           "of two runs, or merge runs over different data. Exit code of --diff: 0 equal, 1 "
           "different, 2 could not compare.",
       .run = RunAmax},
      {.name = "plan",
       .summary =
           "Show what a recipe would do to each role's tensors, and the memory, disk and "
           "time it would take. Reads headers only, unless it is to measure, and writes nothing.",
       .libtorch = Libtorch::kToCalibrate,
       .run = RunPlan},
      {.name = "recipes",
       .summary =
           "List the recipes that come with Vernier, or with a checkpoint those that fit it, "
           "the one that it gets by default first. Reads headers only.",
       .run = RunRecipes},
      {.name = "inspect",
       .summary = "Show what a checkpoint holds: layers, roles, formats, sizes, and anything that "
                  "Vernier does not understand. Reads headers only.",
       .run = RunInspect},
      {.name = "tokenize",
       .summary = "Print the token ids of the text on standard input, as one JSON array.",
       .run = RunTokenize},
      {.name = "trace",
       .summary = "Run token ids through a checkpoint, layer by layer as in calibration, and write "
                  "the hidden states behind every layer and the logits, or print the perplexity.",
       .libtorch = Libtorch::kAlways,
       .run = RunTrace},
      {.name = "layertest",
       .summary = "Run one decoder layer of a source and of a checkpoint quantised from it on real "
                  "activations, and compare linear layers, experts, FFN and output: weights, "
                  "activations, and both.",
       .libtorch = Libtorch::kAlways,
       .run = RunLayertest},
      {.name = "eval",
       .summary =
           "Measure what quantisation cost: perplexity of a checkpoint with its activations as "
           "they are and quantised as engines do, and the KL divergence from a reference.",
       .libtorch = Libtorch::kAlways,
       .run = RunEval},
      {.name = "generate",
       .summary =
           "Continue prompts greedily with any checkpoint, layer by layer in a calibration's "
           "memory. There is no cache: each token reads the whole model once and runs all "
           "positions again.",
       .libtorch = Libtorch::kAlways,
       .run = RunGenerate},
      {.name = "completion",
       .summary = "Print the script by which a shell completes this command.",
       .run = RunCompletion,
       .hidden = true},
      {.name = "man", .summary = "Print the manual page.", .run = RunManual, .hidden = true},
      {.name = "options",
       .summary = "Print all options as a table in Markdown.",
       .run = RunOptions,
       .hidden = true},
      {.name = "schema",
       .summary = "Print the JSON Schema of recipes.",
       .run = RunSchema,
       .hidden = true},
  };
  return commands;
}

}  // namespace vernier::tools
