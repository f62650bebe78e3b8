// vernier eval: perplexity, and KL divergence from a reference, of any checkpoint that Vernier
// reads.
#include "jobs/eval.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "recipes/recipe_values.h"
#include "tools/command.h"
#include "tools/eval_text.h"
#include "tools/forward_options.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

struct EvalCommand {
  jobs::EvalSpec spec;
  bool json = false;
  std::string out;
};

std::map<std::string, datasets::ChatFormat> ChatFormats() {
  std::map<std::string, datasets::ChatFormat> formats;
  for (const auto& [name, format] : recipes::kChatFormats) formats.emplace(name, format);
  return formats;
}

void AddDataOptions(CLI::App& command, jobs::EvalSpec& spec) {
  static const std::map<std::string, datasets::WindowBos> kBos = {
      {"auto", datasets::WindowBos::kAuto},
      {"yes", datasets::WindowBos::kYes},
      {"no", datasets::WindowBos::kNo}};
  CLI::Option* ids = command.add_option(
      "--input-ids", spec.input_ids,
      "Instead of --data: safetensors file with tensor input_ids [B, S] (I64 or I32), a window a "
      "row");
  command.add_option("--data", spec.data,
                     "Text: a .jsonl, .json, Parquet or text file, or a directory of them; may be "
                     "repeated, and each is reported alone and in the total");
  command
      .add_option("--tokenizer", spec.tokenizer,
                  "Directory with tokenizer.json [the checkpoint's, or the reference's]")
      ->excludes(ids);
  command.add_option("--window", spec.windows.window, "Tokens in a window")
      ->capture_default_str()
      ->excludes(ids);
  command
      .add_option("--stride", spec.windows.stride,
                  "Tokens of text from one window to the next; what two windows share is scored in "
                  "the first [no overlap]")
      ->excludes(ids);
  command
      .add_option("--bos", spec.windows.bos,
                  "Whether each window begins with BOS: yes, no, or auto: as the tokenizer's "
                  "configuration begins a text [auto]")
      ->transform(CLI::CheckedTransformer(kBos))
      ->excludes(ids);
  command
      .add_option(
          "--column", spec.windows.column,
          "The field of a row that holds its text or chat [the first of input_ids, messages, "
          "conversations and text]")
      ->excludes(ids);
  command
      .add_option("--chat-format", spec.windows.chat_format,
                  "How chats become text: template, plain, deepseek, chatml, or auto: by the "
                  "checkpoint's template where it has one, else plain [auto]")
      ->transform(CLI::CheckedTransformer(ChatFormats()))
      ->excludes(ids);
  command
      .add_option("--windows", spec.windows.max_windows,
                  "At most so many windows of each source; 0: all")
      ->check(CLI::NonNegativeNumber);
}

void Run(const EvalCommand& command, const jobs::ModelJobs& models, ProgressStyle style) {
  ProgressWriter progress(style);
  const jobs::EvalSummary summary = models.Evaluate(command.spec, progress);
  const std::string json = jobs::EvalJson(summary).dump(2) + "\n";
  if (!command.out.empty()) WriteFileAtomically(command.out, json);
  fmt::print("{}", command.json ? json : EvalText(summary));
}

}  // namespace

void AddEvalCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "eval",
      "Measure what quantisation cost: perplexity of a checkpoint with its activations as they are "
      "and quantised as engines do, and the KL divergence from a reference");
  auto eval = std::make_shared<EvalCommand>();
  jobs::EvalSpec& spec = eval->spec;
  command->add_option("CHECKPOINT", spec.checkpoint, "Checkpoint directory")->required();
  command->add_option("--reference", spec.reference,
                      "Checkpoint to compare with: the BF16 model, or the source");
  AddDataOptions(*command, spec);
  command
      ->add_option("--variants", spec.variants,
                   "What of the checkpoint is evaluated: weights, weights+activations [all that it "
                   "has]")
      ->delimiter(',')
      ->check(CLI::IsMember({"weights", "weights+activations"}));
  AddForwardOptions(*command, spec.forward);
  command->add_flag("--json", eval->json, "Print JSON instead of tables");
  command->add_option("--out", eval->out, "Write the JSON to this file as well");
  command->callback([eval, &context] {
    jobs::CheckEvalSpec(eval->spec);
    Run(*eval, RequireTorch(context), context.progress);
  });
}

}  // namespace vernier::tools
