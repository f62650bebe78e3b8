// vernier validate: audits a checkpoint directory.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "audit/catalogue.h"
#include "audit/engines/explanation.h"
#include "audit/engines/tensor_parallel.h"
#include "audit/report_json.h"
#include "audit/report_text.h"
#include "base/error.h"
#include "base/progress.h"
#include "report/page.h"
#include "tools/audit_step.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

constexpr int kExitDefects = 1;
constexpr int kExitNotChecked = 2;

struct ValidateArguments {
  std::string directory;
  std::string source;
  std::string engine = "all";
  int tensor_parallel = 1;
  std::string journal;
  bool full = false;
  bool json = false;
  std::string page;
  std::string explain;
};

audit::AuditReport Audit(const ValidateArguments& arguments, ProgressStyle style) {
  Progress progress(style, stderr, {{std::string(kValidatePhase), 1.0}});
  audit::AuditOptions options;
  options.directory = arguments.directory;
  options.source = arguments.source;
  options.engines = audit::EnginesFromOption(arguments.engine);
  options.tensor_parallel = arguments.tensor_parallel;
  options.journal = arguments.journal;
  if (arguments.full) options.depth = audit::AuditDepth::kFull;
  return RunAudit(options, progress);
}

int Explain(const ValidateArguments& arguments) {
  const std::vector<audit::ModuleExplanation> modules = audit::ExplainModules(
      arguments.directory, audit::EnginesFromOption(arguments.engine), arguments.explain);
  if (modules.empty()) {
    throw Error(ErrorCode::kBadArgument, "--explain",
                "no module that engines build matches \"" + arguments.explain + "\"",
                "Give a name or a glob such as \"*.0.*\"");
  }
  fmt::print("{}", arguments.json ? audit::ExplanationJson(modules).dump(2) + "\n"
                                  : audit::ExplanationText(modules));
  return 0;
}

int RunValidate(const ValidateArguments& arguments, ProgressStyle style) {
  try {
    if (!arguments.explain.empty()) return Explain(arguments);
    const audit::AuditReport report = Audit(arguments, style);
    fmt::print("{}", arguments.json ? audit::ReportJson(report).dump(2) + "\n"
                                    : audit::ReportText(report));
    if (!arguments.page.empty()) {
      report::WritePage(arguments.page, {.audit = audit::ReportJson(report)});
    }
    return report.Clean() ? 0 : kExitDefects;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    fmt::print(stderr, "vernier: {}\n", error.what());
    return kExitNotChecked;
  }
}

void PrintRules() {
  for (const audit::Rule& rule : audit::AllRules()) {
    fmt::print("{}  {};\n     otherwise {}\n", rule.id, rule.demands, rule.otherwise);
  }
}

void AddOptions(CLI::App& command, ValidateArguments& arguments) {
  command.add_option("DIR", arguments.directory, "The checkpoint directory")->required();
  command.add_option("--source", arguments.source,
                     "The source checkpoint: compare carried tensors byte by byte and measure the "
                     "dequantisation error of converted ones (reads everything)");
  command
      .add_option(
          "--engine", arguments.engine,
          "Whose reading to check: vllm, sglang, trtllm, some of them separated by commas, or "
          "all; an older release as vllm@0.31. Rules that concern no other engine are left "
          "out")
      ->capture_default_str();
  command
      .add_option("--tensor-parallel", arguments.tensor_parallel,
                  "Devices that will serve it together: what cannot be cut for them is an error")
      ->check(CLI::IsMember(audit::kTensorParallelSizes))
      ->capture_default_str();
  command.add_flag("--full", arguments.full,
                   "Read every byte and look for NaN, not only in scales; implied by --source");
  command.add_option("--journal", arguments.journal,
                     "A file that remembers what a full audit has finished: the same command goes "
                     "on from it, and it holds the error of every weight");
  command.add_flag("--json", arguments.json, "Print the report as JSON");
  command.add_option("--report", arguments.page,
                     "Also write the report as one HTML page, to be read without a network");
  command
      .add_option("--explain", arguments.explain,
                  "Instead of the audit: what each engine would build the modules of this name or "
                  "glob as, and why")
      ->excludes("--source", "--full", "--journal", "--report");
}

}  // namespace

void AddValidateCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "validate",
      "Check a checkpoint against the rules of vLLM, SGLang and TensorRT-LLM and, with --source, "
      "every tensor against the checkpoint it was made from. Exit code: 0 no errors (warnings are "
      "allowed), 1 errors found, 2 could not check.");
  auto arguments = std::make_shared<ValidateArguments>();
  AddOptions(*command, *arguments);
  command->add_flag_callback(
      "--list-rules",
      [] {
        PrintRules();
        throw CLI::Success();
      },
      "List the rules and what each guards against");
  command->callback(
      [&context, arguments] { context.exit_code = RunValidate(*arguments, context.progress); });
}

}  // namespace vernier::tools
