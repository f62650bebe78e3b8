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
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw Error(ErrorCode::kBadArgument, "command line", error.what(),
                "See vernier --help, and --help of the subcommand");
  }
  return context.exit_code;
}

// Says it in one line. Returns the exit status.
int Fail(const Error& error) {
  fmt::print(stderr, "vernier: {}\n", error.what());
  return error.code() == ErrorCode::kInterrupted ? kExitInterrupted : kExitFailure;
}

}  // namespace
}  // namespace vernier::tools

int main(int argc, char** argv) {
  // A write beyond a file-size limit is then an error of that write.
  std::signal(SIGXFSZ, SIG_IGN);
  vernier::CatchInterrupts();
  using vernier::Error, vernier::ErrorCode, vernier::tools::Fail;
  try {
    return vernier::tools::Main(argc, argv);
  } catch (const Error& error) {
    return Fail(error);
  } catch (const std::bad_alloc&) {
    return Fail(Error(ErrorCode::kOutOfMemory, "vernier", "out of memory",
                      "Lower compute.device_memory or compute.host_memory"));
  } catch (const std::exception& error) {
    return Fail(Error(ErrorCode::kUnexpected, "vernier", error.what(), "Please report it"));
  }
}
