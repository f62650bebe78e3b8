// vernier generate: a greedy continuation, to see with one's own eyes that a checkpoint speaks.
#include "jobs/generate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tools/command.h"
#include "tools/forward_options.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

struct GenerateCommand {
  jobs::GenerateSpec spec;
  bool json = false;
};

// Prints one text as it grows.
class LiveText {
 public:
  void Show(const std::string& text) {
    fmt::print("{}", text.substr(shown_));
    std::fflush(stdout);
    shown_ = text.size();
  }

 private:
  size_t shown_ = 0;
};

void RunLive(const jobs::GenerateSpec& spec, const jobs::ModelJobs& models,
             ProgressListener& progress) {
  fmt::print("{}", spec.prompts.front());
  std::fflush(stdout);
  LiveText live;
  const std::vector<jobs::GeneratedText> texts = models.Generate(
      spec, [&](size_t, const std::string& text) { live.Show(text); }, progress);
  live.Show(texts.front().text);
  fmt::print("\n");
}

void RunWhole(const GenerateCommand& command, const jobs::ModelJobs& models,
              ProgressListener& progress) {
  const std::vector<jobs::GeneratedText> texts = models.Generate(command.spec, {}, progress);
  if (command.json) return fmt::print("{}\n", jobs::GenerateJson(texts).dump(2));
  for (size_t i = 0; i < texts.size(); ++i) {
    fmt::print("{}{}{}\n", i > 0 ? "\n" : "", texts[i].prompt, texts[i].text);
  }
}

void Run(const GenerateCommand& command, const jobs::ModelJobs& models, ProgressStyle style) {
  const bool live = command.spec.prompts.size() == 1 && !command.json && isatty(STDOUT_FILENO);
  // A bar would be drawn into the text, and the text is progress itself.
  if (live && style == ProgressStyle::kAuto) style = ProgressStyle::kNone;
  ProgressWriter progress(style);
  if (live) {
    RunLive(command.spec, models, progress);
  } else {
    RunWhole(command, models, progress);
  }
}

}  // namespace

void AddGenerateCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "generate",
      "Continue prompts greedily with any checkpoint, layer by layer in a calibration's memory. "
      "There is no cache: each token reads the whole model once and runs all positions again");
  auto generate = std::make_shared<GenerateCommand>();
  jobs::GenerateSpec& spec = generate->spec;
  command->add_option("CHECKPOINT", spec.checkpoint, "Checkpoint directory")->required();
  command
      ->add_option("--prompt", spec.prompts,
                   "Text to go on from, without a chat template; may be repeated, and all go on at "
                   "once")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--tokens", spec.tokens, "At most so many new tokens")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  AddActivationsOption(*command, spec.quantize_activations);
  command->add_option("--tokenizer", spec.tokenizer,
                      "Directory with tokenizer.json [the checkpoint's]");
  AddForwardOptions(*command, spec.forward);
  command->add_flag("--json", generate->json, "Print ids and texts as JSON");
  command->callback(
      [generate, &context] { Run(*generate, RequireTorch(context), context.progress); });
}

}  // namespace vernier::tools
