// The table of subcommands. To add one: a row in command.cc, its rows of options, and a file with
// its function.
#ifndef VERNIER_TOOLS_COMMAND_H_
#define VERNIER_TOOLS_COMMAND_H_

#include <string_view>
#include <vector>

#include "tools/arguments.h"
#include "tools/progress_writer.h"

namespace vernier::tools {

// What every subcommand is told.
struct CommandContext {
  char** argv = nullptr;  // as given to main, for a program that continues the command
  ProgressStyle progress = ProgressStyle::kAuto;
};

// Whether a subcommand goes on in `vernier-torch`.
enum class Libtorch {
  kNever,
  kToCalibrate,  // when something is calibrated, or a device's memory asked for
  kAlways,
};

struct Command {
  std::string_view name;
  std::string_view summary;  // sentences, the first of which stands alone
  Libtorch libtorch = Libtorch::kNever;
  // Returns the exit status. May throw Error.
  int (*run)(const Arguments& arguments, const CommandContext& context);
  bool hidden = false;  // from the list of subcommands, not from the manual
};

// In the order of the help.
const std::vector<Command>& Commands();

int RunAmax(const Arguments& arguments, const CommandContext& context);
int RunCalibrate(const Arguments& arguments, const CommandContext& context);
int RunConvert(const Arguments& arguments, const CommandContext& context);
int RunDequantize(const Arguments& arguments, const CommandContext& context);
int RunEval(const Arguments& arguments, const CommandContext& context);
int RunExport(const Arguments& arguments, const CommandContext& context);
int RunGenerate(const Arguments& arguments, const CommandContext& context);
int RunInspect(const Arguments& arguments, const CommandContext& context);
int RunLayertest(const Arguments& arguments, const CommandContext& context);
int RunPlan(const Arguments& arguments, const CommandContext& context);
int RunRecipes(const Arguments& arguments, const CommandContext& context);
int RunReport(const Arguments& arguments, const CommandContext& context);
int RunRun(const Arguments& arguments, const CommandContext& context);
int RunStatus(const Arguments& arguments, const CommandContext& context);
int RunTokenize(const Arguments& arguments, const CommandContext& context);
int RunTrace(const Arguments& arguments, const CommandContext& context);
int RunValidate(const Arguments& arguments, const CommandContext& context);

// What the table itself tells (self_commands.cc).
int RunCompletion(const Arguments& arguments, const CommandContext& context);
int RunManual(const Arguments& arguments, const CommandContext& context);
int RunOptions(const Arguments& arguments, const CommandContext& context);
int RunSchema(const Arguments& arguments, const CommandContext& context);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_COMMAND_H_
