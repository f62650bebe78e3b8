// vernier trace: hidden states, logits or perplexity of any checkpoint that Vernier reads.
#include "calib/trace.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "calib/device.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

struct TraceOptions {
  std::string source;
  std::string input_ids;
  std::string out;
  bool perplexity = false;
  std::string dtype = "float32";
  std::string device = "cpu";
  std::string device_memory, host_memory;
  int64_t batch_size = 0;
  int threads = 0;
};

uint64_t ParseSizeOption(const std::string& text, std::string_view option) {
  if (text.empty()) return 0;
  const auto bytes = ParseByteSize(text);
  if (bytes) return *bytes;
  throw Error(ErrorCode::kBadArgument, option, "\"" + text + "\" is no size",
              "Give a number with a unit such as 8GiB");
}

// The parts of a recipe that the loop and its budget read.
recipes::Recipe MakeTraceRecipe(const TraceOptions& options,
                                const datasets::CalibrationSet& tokens) {
  recipes::Recipe recipe;
  recipe.source = options.source;
  recipe.calibration.data.samples = tokens.samples;
  recipe.calibration.data.sequence_length = tokens.sequence_length;
  recipe.calibration.dtype = options.dtype == "float32" ? recipes::ComputeDtype::kFloat32
                                                        : recipes::ComputeDtype::kBFloat16;
  recipe.calibration.batch_size = options.batch_size;
  recipe.compute = {.device = options.device,
                    .device_memory = ParseSizeOption(options.device_memory, "--device-memory"),
                    .host_memory = ParseSizeOption(options.host_memory, "--host-memory"),
                    .threads = options.threads};
  return recipe;
}

void PrintPerplexity(const calib::Perplexity& perplexity) {
  fmt::print("perplexity {:.6f}  ({} windows, {} predicted tokens)\n", perplexity.value,
             perplexity.windows, perplexity.scored);
}

void Trace(const TraceOptions& options, ProgressStyle style) {
  if (options.out.empty() != options.perplexity) {
    throw Error(ErrorCode::kBadArgument, "trace", "nothing or two things to do",
                "Give either --out or --perplexity");
  }
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(options.source);
  const datasets::CalibrationSet tokens =
      calib::ReadTokenIds(options.input_ids, source.family->Dims().vocab_size);
  const recipes::Recipe recipe = MakeTraceRecipe(options, tokens);
  calib::SetThreads(options.threads);
  const recipes::CalibrationBudget budget = recipes::PlanBudget(
      source, recipe, calib::ReadMachineMemory(calib::ParseDevice(options.device)));
  const calib::TraceRequest request = {.source = source,
                                       .recipe = recipe,
                                       .budget = budget,
                                       .tokens = tokens,
                                       .scratch_directory = std::filesystem::temp_directory_path()};
  Progress progress(style, stderr, {{"trace", 1.0}});
  if (options.perplexity) return PrintPerplexity(calib::MeasurePerplexity(request, progress));
  calib::WriteTrace(request, options.out, progress);
}

}  // namespace

void AddTraceCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "trace",
      "Run token ids through a checkpoint, layer by layer as in calibration, and write the hidden "
      "states behind every layer and the logits, or print the perplexity");
  auto options = std::make_shared<TraceOptions>();
  command->add_option("source", options->source, "Checkpoint directory")->required();
  command->add_option("--input-ids", options->input_ids,
                      "Safetensors file with tensor input_ids [B, S] (I64 or I32)")
      ->required();
  command->add_option("--out", options->out,
                      "Safetensors file to write: hidden.<layer> and logits, all F32");
  command->add_flag("--perplexity", options->perplexity,
                    "Print the perplexity over the rows of input_ids as windows instead");
  command->add_option("--dtype", options->dtype, "Compute dtype: float32 or bfloat16")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu or cuda:N")->capture_default_str();
  command->add_option("--device-memory", options->device_memory,
                      "Budget for weights and batches on the device, e.g. 8GiB");
  command->add_option("--host-memory", options->host_memory,
                      "Budget for hidden states; above it they go to temporary files");
  command->add_option("--batch-size", options->batch_size, "Rows at a time; 0 chooses")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--threads", options->threads, "Threads; 0 uses all cores")
      ->check(CLI::NonNegativeNumber);
  command->callback([options, &context] { Trace(*options, context.progress); });
}

}  // namespace vernier::tools
