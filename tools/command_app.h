// The command line, made of the tables of subcommands and options.
#ifndef VERNIER_TOOLS_COMMAND_APP_H_
#define VERNIER_TOOLS_COMMAND_APP_H_

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "tools/arguments.h"

namespace vernier::tools {

inline constexpr std::string_view kProgramSummary =
    "Calibrates large language models layer by layer and writes NVFP4 checkpoints that vLLM, "
    "SGLang "
    "and TensorRT-LLM load.";

// The program's own options (of kProgram) and those of every subcommand.
using GivenByCommand = std::map<std::string, GivenValues, std::less<>>;

// Adds everything that the tables have. Parsing fills `given`, which must outlive `app`.
void BuildApp(CLI::App& app, GivenByCommand& given);

// The subcommand that the command line names. CLI::ParseError, also for --help and --version;
// kBadArgument for a value that a recipe's field may not have.
std::string ParseCommandLine(CLI::App& app, int argc, char** argv);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_COMMAND_APP_H_
