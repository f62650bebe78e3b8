#include "tools/option_rows.h"

#include <string>
#include <vector>

#include "audit/engines/tensor_parallel.h"
#include "calib/eval/result.h"
#include "export/layout_packs.h"
#include "jobs/forward_spec.h"
#include "recipes/option_rows.h"
#include "recipes/recipe_values.h"
#include "recipes/target_format.h"
#include "tools/option_names.h"

namespace vernier::tools {
namespace {

using recipes::Arity;
using recipes::NamesOf;
using recipes::Option;
using Kind = recipes::ValueKind;

std::vector<std::string> TensorParallelSizes() {
  std::vector<std::string> names;
  for (const int size : audit::kTensorParallelSizes) names.push_back(std::to_string(size));
  return names;
}

std::vector<std::string> EvalVariants() {
  return {std::string(calib::EvalVariantName(calib::EvalVariant::kWeights)),
          std::string(calib::EvalVariantName(calib::EvalVariant::kWeightsAndActivations))};
}

std::vector<Option> SharedRows() {
  return {
      {.name = "--progress",
       .commands = "vernier",
       .kind = Kind::kName,
       .help = "How long work reports itself on standard error: auto (a bar on a terminal, lines "
               "otherwise), bar, plain, json (one object a line) or none",
       .names = NamesOf(kProgressStyles),
       .standard = "auto"},
      {.name = "RECIPE",
       .commands = "run calibrate export plan",
       .kind = Kind::kPath,
       .help = "The recipe: a JSON file, comments allowed; the name of one that comes with Vernier "
               "(`vernier recipes` lists them); or a checkpoint's directory, which is then the "
               "source and gets its default",
       .required = true},
      {.name = "RUN",
       .commands = "status amax report",
       .kind = Kind::kPath,
       .help = "The run directory, or its store file",
       .required = true},
      {.name = "DIR",
       .commands = "inspect validate",
       .kind = Kind::kDirectory,
       .help = "The checkpoint's directory",
       .required = true},
      {.name = "DIR",
       .commands = "recipes",
       .kind = Kind::kDirectory,
       .help = "A checkpoint's directory: which recipes fit it"},
      {.name = "CHECKPOINT",
       .commands = "eval generate",
       .kind = Kind::kDirectory,
       .help = "The checkpoint's directory",
       .required = true},
      {.name = "SRC",
       .commands = "layertest trace",
       .kind = Kind::kDirectory,
       .help = "The checkpoint's directory; of a layer test the released one's",
       .required = true},
      {.name = "QUANTISED",
       .commands = "layertest",
       .kind = Kind::kDirectory,
       .help = "A checkpoint made from it",
       .required = true},
      {.name = "TOKENIZER_DIR",
       .commands = "tokenize",
       .kind = Kind::kDirectory,
       .help = "Directory with tokenizer.json, such as a checkpoint",
       .required = true},
      {.name = "--json",
       .commands = "plan recipes inspect status validate layertest eval generate",
       .kind = Kind::kFlag,
       .help = "Print JSON instead of text, sizes in bytes"},
  };
}

std::vector<Option> ConversionRows() {
  return {
      {.name = "--recipe",
       .commands = "convert",
       .kind = Kind::kPath,
       .help =
           "Recipe whose rules say what becomes of which weight: a file, or the name of one that "
           "comes with Vernier"},
      {.name = "--weights",
       .commands = "convert",
       .kind = Kind::kName,
       .help = "Format of the weights",
       .names = NamesOf(recipes::FormatNames()),
       .standard = std::string(recipes::TargetFormatName(checkpoint::formats::kNvfp4)),
       .group = recipes::kWithoutRecipe,
       .excludes = "--recipe"},
      {.name = "--layout",
       .commands = "convert",
       .kind = Kind::kName,
       .help = "Also write NVFP4 scales as kernels want them, into OUTPUT/kernel_layouts",
       .names = exporter::KernelLayoutNames(),
       .arity = Arity::kRepeated},
      {.name = "--validate",
       .commands = "convert",
       .kind = Kind::kFlag,
       .help = "Audit the result against the source"},
  };
}

std::vector<Option> AuditRows() {
  return {
      {.name = "--source",
       .commands = "validate",
       .kind = Kind::kDirectory,
       .help = "The source checkpoint: compare carried tensors byte by byte and measure the "
               "dequantisation error of converted ones (reads everything)"},
      {.name = "--engine",
       .commands = "validate",
       .help = "Whose reading to check: vllm, sglang, trtllm, some of them separated by commas, or "
               "all; an older release as vllm@0.31",
       .details = "Rules that concern no other engine are left out.",
       .standard = "all"},
      {.name = "--tensor-parallel",
       .commands = "validate",
       .kind = Kind::kName,
       .help = "Devices that will serve it together: what cannot be cut for them is an error",
       .names = TensorParallelSizes(),
       .standard = "1"},
      {.name = "--full",
       .commands = "validate",
       .kind = Kind::kFlag,
       .help = "Read every byte and look for NaN, not only in scales; implied by --source"},
      {.name = "--journal",
       .commands = "validate",
       .kind = Kind::kFile,
       .help = "A file that remembers what a full audit has finished: the same command goes on "
               "from it, and it holds the error of every weight"},
      {.name = "--report",
       .commands = "validate",
       .kind = Kind::kFile,
       .help = "Also write the report as one HTML page, to be read without a network"},
      {.name = "--explain",
       .commands = "validate",
       .help = "Instead of the audit: what each engine would build the modules of this name or "
               "glob as, and why",
       .metavar = "GLOB",
       .excludes = "--source --full --journal --report"},
      {.name = "--list-rules",
       .commands = "validate",
       .kind = Kind::kFlag,
       .help = "List the rules and what each guards against, and do nothing else",
       .alone = true},
  };
}

std::vector<Option> RunRows() {
  return {
      {.name = "--out",
       .commands = "amax",
       .kind = Kind::kFile,
       .help = "Write FILE.json or FILE.safetensors instead"},
      {.name = "--diff",
       .commands = "amax",
       .kind = Kind::kPath,
       .help = "Compare with this run instead",
       .excludes = "--out"},
      {.name = "--tolerance",
       .commands = "amax",
       .kind = Kind::kNumber,
       .help = "Relative change of a value or its tokens above which it differs",
       .minimum = 0,
       .standard = "0",
       .needs = "--diff"},
      {.name = "--merge",
       .commands = "amax",
       .kind = Kind::kPath,
       .help = "Merge with these runs: largest amax, sums added, all tokens",
       .arity = Arity::kMany,
       .excludes = "--out --diff",
       .needs = "--into"},
      {.name = "--into",
       .commands = "amax",
       .kind = Kind::kDirectory,
       .help = "The new run directory for --merge",
       .needs = "--merge"},
      {.name = "--out",
       .commands = "report",
       .kind = Kind::kFile,
       .help = "The page to write; RUN/report.html by default"},
      {.name = "--jsonl",
       .commands = "tokenize",
       .kind = Kind::kFlag,
       .help = "Convert line by line: {\"text\": ...} to {\"ids\": ...} and back, and a chat, "
               "{\"messages\": ...}, to the text of its template and its ids"},
  };
}

std::vector<Option> ModelRows() {
  return {
      {.name = "--probe",
       .commands = "plan",
       .kind = Kind::kFlag,
       .help = "Measure for some seconds how fast this machine reads the source and computes a "
               "layer, and forecast times by that; otherwise by rates that are usual"},
      {.name = "--timings",
       .commands = "run calibrate",
       .kind = Kind::kFlag,
       .help = "Say at the end where the time of a calibration's layers went, stage by stage"},
      {.name = "--eval",
       .commands = "run export",
       .kind = Kind::kPath,
       .help = "Text on which the output is evaluated against its source, at the end, for its "
               "model card: of each file or directory 64 windows of 512 tokens",
       .arity = Arity::kMany},
      {.name = "--layer",
       .commands = "layertest",
       .kind = Kind::kInteger,
       .help = "The decoder layer, from 0",
       .required = true},
      {.name = "--recipe",
       .commands = "layertest",
       .kind = Kind::kFile,
       .help = "Recipe whose calibration data, dtype and compute section are used, with the "
               "source's tokenizer; or --input-ids"},
      {.name = "--input-ids",
       .commands = "layertest",
       .kind = Kind::kFile,
       .help = "Safetensors file with tensor input_ids [B, S] (I64 or I32)"},
      {.name = "--input-ids",
       .commands = "trace",
       .kind = Kind::kFile,
       .help = "Safetensors file with tensor input_ids [B, S] (I64 or I32)",
       .required = true},
      {.name = "--out",
       .commands = "trace",
       .kind = Kind::kFile,
       .help = "Safetensors file to write: hidden.<layer> and logits, all F32"},
      {.name = "--perplexity",
       .commands = "trace",
       .kind = Kind::kFlag,
       .help = "Print the perplexity over the rows of input_ids as windows instead"},
      {.name = "--reference",
       .commands = "eval",
       .kind = Kind::kDirectory,
       .help = "Checkpoint to compare with: the BF16 model, or the source"},
      {.name = "--prompt",
       .commands = "generate",
       .help = "Text to go on from, without a chat template; may be repeated, and all go on at "
               "once",
       .arity = Arity::kRepeated,
       .required = true},
      {.name = "--tokens",
       .commands = "generate",
       .kind = Kind::kInteger,
       .help = "At most so many new tokens",
       .minimum = 1,
       .maximum = 1 << 20,
       .standard = "32"},
      {.name = "--activations",
       .commands = "trace generate",
       .kind = Kind::kName,
       .help = "Inputs of linear layers: plain, as they are; quantised, as engines quantise them, "
               "with the checkpoint's own scales",
       .names = NamesOf(kActivationChoices),
       .standard = "plain"},
      {.name = "--expert-input-scale",
       .commands = "layertest eval",
       .kind = Kind::kName,
       .help = "Static input scale of routed experts, where inputs are quantised: the largest of "
               "the layer's, as in vLLM and FlashInfer, or each one's own",
       .names = NamesOf(jobs::kExpertInputScales),
       .standard = "largest"},
      {.name = "--expert-input-scale",
       .commands = "trace generate",
       .kind = Kind::kName,
       .help = "Static input scale of routed experts: the largest of the layer's, as in vLLM and "
               "FlashInfer, or each one's own",
       .names = NamesOf(jobs::kExpertInputScales),
       .standard = "largest",
       .needs = "--activations"},
      {.name = "--out",
       .commands = "layertest eval",
       .kind = Kind::kFile,
       .help = "Write the JSON to this file as well"},
  };
}

std::vector<Option> EvalDataRows() {
  return {
      {.name = "--input-ids",
       .commands = "eval",
       .kind = Kind::kFile,
       .help = "Instead of --data: safetensors file with tensor input_ids [B, S] (I64 or I32), a "
               "window a row"},
      {.name = "--data",
       .commands = "eval",
       .kind = Kind::kPath,
       .help = "Text: a .jsonl, .json, Parquet or text file, or a directory of them; may be "
               "repeated, and each is reported alone and in the total",
       .arity = Arity::kMany},
      {.name = "--tokenizer",
       .commands = "eval",
       .kind = Kind::kDirectory,
       .help = "Directory with tokenizer.json; by default the checkpoint's, or the reference's",
       .excludes = "--input-ids"},
      {.name = "--tokenizer",
       .commands = "generate",
       .kind = Kind::kDirectory,
       .help = "Directory with tokenizer.json; by default the checkpoint's"},
      {.name = "--window",
       .commands = "eval",
       .kind = Kind::kInteger,
       .help = "Tokens in a window",
       .standard = "512",
       .excludes = "--input-ids"},
      {.name = "--stride",
       .commands = "eval",
       .kind = Kind::kInteger,
       .help = "Tokens of text from one window to the next; what two windows share is scored in "
               "the first; without it they share nothing",
       .excludes = "--input-ids"},
      {.name = "--bos",
       .commands = "eval",
       .kind = Kind::kName,
       .help = "Whether each window begins with BOS: yes, no, or auto: as the tokenizer's "
               "configuration begins a text",
       .names = NamesOf(recipes::kWindowBos),
       .standard = "auto",
       .excludes = "--input-ids"},
      {.name = "--windows",
       .commands = "eval",
       .kind = Kind::kInteger,
       .help = "At most so many windows of each source; 0: all",
       .minimum = 0,
       .standard = "0"},
      {.name = "--variants",
       .commands = "eval",
       .kind = Kind::kName,
       .help = "What of the checkpoint is evaluated; by default all that it has",
       .names = EvalVariants(),
       .arity = Arity::kCommas},
  };
}

std::vector<Option> SelfRows() {
  return {
      {.name = "SHELL",
       .commands = "completion",
       .kind = Kind::kName,
       .help = "The shell that is to complete",
       .names = {"bash", "zsh", "fish"},
       .required = true},
  };
}

}  // namespace

std::vector<Option> MakeCommandOptions() {
  std::vector<Option> options;
  for (const auto& rows :
       {SharedRows, ConversionRows, AuditRows, RunRows, ModelRows, EvalDataRows, SelfRows}) {
    for (Option& row : rows()) options.push_back(std::move(row));
  }
  return options;
}

}  // namespace vernier::tools
