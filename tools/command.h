// What the subcommands of `vernier` share. One file per subcommand registers itself in main.cc.
#ifndef VERNIER_TOOLS_COMMAND_H_
#define VERNIER_TOOLS_COMMAND_H_

#include <CLI/CLI.hpp>

#include "tools/progress_writer.h"

namespace vernier::tools {

// Options that every subcommand understands, and the exit code that main returns.
struct CommandContext {
  char** argv = nullptr;  // as given to main, for a program that continues the command
  ProgressStyle progress = ProgressStyle::kAuto;
  int exit_code = 0;
};

// Each adds its subcommand to `app`; its callback runs after parsing and may throw Error. The
// context outlives the parse.
void AddInspectCommand(CLI::App& app, CommandContext& context);
void AddPlanCommand(CLI::App& app, CommandContext& context);
void AddRunCommand(CLI::App& app, CommandContext& context);
void AddCalibrateCommand(CLI::App& app, CommandContext& context);
void AddExportCommand(CLI::App& app, CommandContext& context);
void AddConvertCommand(CLI::App& app, CommandContext& context);
void AddDequantizeCommand(CLI::App& app, CommandContext& context);
void AddValidateCommand(CLI::App& app, CommandContext& context);
void AddTokenizeCommand(CLI::App& app, CommandContext& context);
void AddReportCommand(CLI::App& app, CommandContext& context);
void AddStatusCommand(CLI::App& app, CommandContext& context);
void AddAmaxCommand(CLI::App& app, CommandContext& context);
void AddTraceCommand(CLI::App& app, CommandContext& context);
void AddLayertestCommand(CLI::App& app, CommandContext& context);
void AddEvalCommand(CLI::App& app, CommandContext& context);
void AddGenerateCommand(CLI::App& app, CommandContext& context);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_COMMAND_H_
