// The `vernier` command: parses the command line, runs one subcommand, and turns errors into one
// line.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <new>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

constexpr int kExitFailure = 1;

void AddSubcommands(CLI::App& app, CommandContext& context) {
  AddRunCommand(app, context);
  AddCalibrateCommand(app, context);
  AddExportCommand(app, context);
  AddConvertCommand(app, context);
  AddDequantizeCommand(app, context);
  AddValidateCommand(app, context);
  AddReportCommand(app, context);
  AddStatusCommand(app, context);
  AddAmaxCommand(app, context);
  AddPlanCommand(app, context);
  AddInspectCommand(app, context);
  AddTokenizeCommand(app, context);
  AddTraceCommand(app, context);
  AddLayertestCommand(app, context);
  AddEvalCommand(app, context);
  AddGenerateCommand(app, context);
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Calibrates large language models layer by layer and writes NVFP4 checkpoints that "
      "vLLM, SGLang and TensorRT-LLM load.");
  app.name("vernier");
  app.set_version_flag("--version", "vernier " VERNIER_VERSION);
  app.require_subcommand(1);
  app.fallthrough();

  CommandContext context = {.argv = argv};
  const std::map<std::string, ProgressStyle> styles = {{"auto", ProgressStyle::kAuto},
                                                       {"bar", ProgressStyle::kBar},
                                                       {"plain", ProgressStyle::kPlain},
                                                       {"json", ProgressStyle::kJson},
                                                       {"none", ProgressStyle::kNone}};
  app.add_option("--progress", context.progress,
                 "How long work reports itself on standard error: auto (a bar on a terminal, lines "
                 "otherwise), bar, plain, json (one object a line) or none")
      ->transform(CLI::CheckedTransformer(styles, CLI::ignore_case));
  AddSubcommands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return context.exit_code;
}

}  // namespace
}  // namespace vernier::tools

int main(int argc, char** argv) {
  // A write beyond a file-size limit is then an error of that write.
  std::signal(SIGXFSZ, SIG_IGN);
  vernier::CatchInterrupts();
  try {
    return vernier::tools::Main(argc, argv);
  } catch (const vernier::Error& error) {
    fmt::print(stderr, "vernier: {}\n", error.what());
    if (error.code() == vernier::ErrorCode::kInterrupted) return vernier::kExitInterrupted;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "vernier: out of memory; lower compute.device_memory or host_memory\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "vernier: unexpected: {}\n", error.what());
  }
  return vernier::tools::kExitFailure;
}
