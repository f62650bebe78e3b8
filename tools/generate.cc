// vernier generate: a greedy continuation, to see with one's own eyes that a checkpoint speaks.
#include "jobs/generate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tools/command.h"
#include "tools/option_names.h"
#include "tools/read_spec.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

jobs::GenerateSpec ReadGenerateSpec(const Arguments& arguments) {
  jobs::GenerateSpec spec;
  spec.forward = ReadForwardSpec(arguments);
  arguments.Read("CHECKPOINT", spec.checkpoint);
  arguments.Read("--prompt", spec.prompts);
  arguments.Read("--tokens", spec.tokens);
  arguments.Read("--tokenizer", spec.tokenizer);
  arguments.ReadName("--activations", kActivationChoices, spec.quantize_activations);
  return spec;
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

void RunWhole(const jobs::GenerateSpec& spec, bool json, const jobs::ModelJobs& models,
              ProgressListener& progress) {
  const std::vector<jobs::GeneratedText> texts = models.Generate(spec, {}, progress);
  if (json) return fmt::print("{}\n", jobs::GenerateJson(texts).dump(2));
  for (size_t i = 0; i < texts.size(); ++i) {
    fmt::print("{}{}{}\n", i > 0 ? "\n" : "", texts[i].prompt, texts[i].text);
  }
}

}  // namespace

int RunGenerate(const Arguments& arguments, const CommandContext& context) {
  const jobs::GenerateSpec spec = ReadGenerateSpec(arguments);
  const bool json = arguments.Has("--json");
  const jobs::ModelJobs& models = RequireTorch(context);
  const bool live = spec.prompts.size() == 1 && !json && isatty(STDOUT_FILENO);
  // A bar would be drawn into the text, and the text is progress itself.
  const bool quiet = live && context.progress == ProgressStyle::kAuto;
  ProgressWriter progress(quiet ? ProgressStyle::kNone : context.progress);
  if (live) {
    RunLive(spec, models, progress);
  } else {
    RunWhole(spec, json, models, progress);
  }
  return 0;
}

}  // namespace vernier::tools
