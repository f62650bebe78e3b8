// vernier validate: audits a checkpoint directory.
#include "jobs/validate.h"

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
#include "tools/command.h"

namespace vernier::tools {
namespace {

constexpr int kExitDefects = 1;
constexpr int kExitNotChecked = 2;

struct ValidateArguments {
  jobs::ValidateSpec spec;
  bool json = false;
  std::string explain;
};

void PrintExplanation(const ValidateArguments& arguments) {
  const std::vector<audit::ModuleExplanation> modules =
      jobs::Explain(arguments.spec.directory, arguments.spec.engine, arguments.explain);
  fmt::print("{}", arguments.json ? audit::ExplanationJson(modules).dump(2) + "\n"
                                  : audit::ExplanationText(modules));
}

int Audit(const ValidateArguments& arguments, ProgressStyle style) {
  ProgressWriter progress(style);
  const audit::AuditReport report = jobs::Validate(arguments.spec, progress);
  fmt::print("{}",
             arguments.json ? audit::ReportJson(report).dump(2) + "\n" : audit::ReportText(report));
  return report.Clean() ? 0 : kExitDefects;
}

int RunValidate(const ValidateArguments& arguments, ProgressStyle style) {
  try {
    if (arguments.explain.empty()) return Audit(arguments, style);
    PrintExplanation(arguments);
    return 0;
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
  command.add_option("DIR", arguments.spec.directory, "The checkpoint directory")->required();
  command.add_option("--source", arguments.spec.source,
                     "The source checkpoint: compare carried tensors byte by byte and measure the "
                     "dequantisation error of converted ones (reads everything)");
  command
      .add_option(
          "--engine", arguments.spec.engine,
          "Whose reading to check: vllm, sglang, trtllm, some of them separated by commas, or "
          "all; an older release as vllm@0.31. Rules that concern no other engine are left "
          "out")
      ->capture_default_str();
  command
      .add_option("--tensor-parallel", arguments.spec.tensor_parallel,
                  "Devices that will serve it together: what cannot be cut for them is an error")
      ->check(CLI::IsMember(audit::kTensorParallelSizes))
      ->capture_default_str();
  command.add_flag("--full", arguments.spec.full,
                   "Read every byte and look for NaN, not only in scales; implied by --source");
  command.add_option("--journal", arguments.spec.journal,
                     "A file that remembers what a full audit has finished: the same command goes "
                     "on from it, and it holds the error of every weight");
  command.add_flag("--json", arguments.json, "Print the report as JSON");
  command.add_option("--report", arguments.spec.page,
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
