// The `vernier` command: parses the command line, runs one subcommand, and turns errors into one
// line.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/interrupt.h"
#include "tools/build_text.h"
#include "tools/command.h"
#include "tools/command_app.h"
#include "tools/option_names.h"
#include "tools/options.h"

namespace vernier::tools {
namespace {

constexpr int kExitFailure = 1;

const Command& CommandNamed(std::string_view name) {
  return *std::ranges::find(Commands(), name, &Command::name);
}

int Main(int argc, char** argv) {
  CLI::App app;
  app.set_version_flag("--version", BuildText, "Print version, commit, libtorch and SIMD targets");
  GivenByCommand given;
  BuildApp(app, given);
  std::string name;
  try {
    name = ParseCommandLine(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw Error(ErrorCode::kBadArgument, "command line", error.what(),
                "See vernier --help, and --help of the subcommand");
  }
  CommandContext context = {.argv = argv};
  const std::string program(kProgram);
  Arguments(program, given[program]).ReadName("--progress", kProgressStyles, context.progress);
  return CommandNamed(name).run(Arguments(name, given[name]), context);
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
