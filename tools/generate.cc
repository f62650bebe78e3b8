// vernier generate: a greedy continuation, to see with one's own eyes that a checkpoint speaks.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "tools/command.h"
#include "tools/eval_steps.h"
#include "tools/torch_steps.h"

namespace vernier::tools {
namespace {

struct GenerateCommand {
  GenerateOptions options;
  bool json = false;
};

Json TextJson(const GeneratedText& text) {
  return {{"prompt", text.prompt},
          {"prompt_ids", text.prompt_ids},
          {"ids", text.ids},
          {"text", text.text},
          {"ended", text.ended}};
}

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

void RunLive(const GenerateOptions& options, ProgressStyle style) {
  fmt::print("{}", options.prompts.front());
  std::fflush(stdout);
  LiveText live;
  const std::vector<GeneratedText> texts = RunGenerate(
      options, [&](size_t, const std::string& text) { live.Show(text); }, style);
  live.Show(texts.front().text);
  fmt::print("\n");
}

void RunWhole(const GenerateCommand& command, ProgressStyle style) {
  const std::vector<GeneratedText> texts = RunGenerate(command.options, {}, style);
  if (command.json) {
    Json json = Json::array();
    for (const GeneratedText& text : texts) json.push_back(TextJson(text));
    fmt::print("{}\n", json.dump(2));
    return;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    fmt::print("{}{}{}\n", i > 0 ? "\n" : "", texts[i].prompt, texts[i].text);
  }
}

void Run(const GenerateCommand& command, ProgressStyle style) {
  const bool live = command.options.prompts.size() == 1 && !command.json && isatty(STDOUT_FILENO);
  if (!live) return RunWhole(command, style);
  // A bar would be drawn into the text, and the text is progress itself.
  RunLive(command.options, style == ProgressStyle::kAuto ? ProgressStyle::kNone : style);
}

}  // namespace

void AddGenerateCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "generate",
      "Continue prompts greedily with any checkpoint, layer by layer in a calibration's memory. "
      "There is no cache: each token reads the whole model once and runs all positions again");
  auto generate = std::make_shared<GenerateCommand>();
  GenerateOptions& options = generate->options;
  command->add_option("CHECKPOINT", options.checkpoint, "Checkpoint directory")->required();
  command
      ->add_option("--prompt", options.prompts,
                   "Text to go on from, without a chat template; may be repeated, and all go on at "
                   "once")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--tokens", options.tokens, "At most so many new tokens")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  AddActivationsOption(*command, options.quantize_activations);
  command->add_option("--tokenizer", options.tokenizer,
                      "Directory with tokenizer.json [the checkpoint's]");
  AddForwardOptions(*command, options.forward);
  command->add_flag("--json", generate->json, "Print ids and texts as JSON");
  command->callback([generate, &context] {
    RequireTorch(context.argv);
    Run(*generate, context.progress);
  });
}

}  // namespace vernier::tools
