// vernier validate: audits a checkpoint directory.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "audit/report_text.h"
#include "base/error.h"
#include "base/progress.h"
#include "tools/audit_step.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

constexpr int kExitDefects = 1;
constexpr int kExitNotChecked = 2;

struct ValidateArguments {
  std::string directory;
  std::string source;
  bool full = false;
  bool json = false;
};

audit::AuditReport Audit(const ValidateArguments& arguments, ProgressStyle style) {
  Progress progress(style, stderr, {{std::string(kValidatePhase), 1.0}});
  audit::AuditOptions options;
  options.directory = arguments.directory;
  options.source = arguments.source;
  options.full = arguments.full;
  return RunAudit(options, progress);
}

int RunValidate(const ValidateArguments& arguments, ProgressStyle style) {
  try {
    const audit::AuditReport report = Audit(arguments, style);
    fmt::print("{}", arguments.json ? audit::ReportJson(report).dump(2) + "\n"
                                    : audit::ReportText(report));
    return report.Clean() ? 0 : kExitDefects;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    fmt::print(stderr, "vernier: {}\n", error.what());
    return kExitNotChecked;
  }
}

}  // namespace

void AddValidateCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "validate",
      "Check a checkpoint against the rules of vLLM, SGLang and TensorRT-LLM and, with --source, "
      "every tensor against the checkpoint it was made from. Exit code: 0 no errors (warnings are "
      "allowed), 1 errors found, 2 could not check.");
  auto arguments = std::make_shared<ValidateArguments>();
  command->add_option("DIR", arguments->directory, "The checkpoint directory")->required();
  command->add_option("--source", arguments->source,
                      "The source checkpoint: compare carried tensors byte by byte and measure the "
                      "dequantisation error of converted ones (reads everything)");
  command->add_flag("--full", arguments->full,
                    "Look for NaN in every tensor, not only in scales; implied by --source");
  command->add_flag("--json", arguments->json, "Print the report as JSON");
  command->callback(
      [&context, arguments] { context.exit_code = RunValidate(*arguments, context.progress); });
}

}  // namespace vernier::tools
