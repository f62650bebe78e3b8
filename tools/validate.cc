// vernier validate: audits a checkpoint directory.
#include "jobs/validate.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "audit/catalogue.h"
#include "audit/engines/explanation.h"
#include "audit/report_json.h"
#include "audit/report_text.h"
#include "base/error.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

constexpr int kExitDefects = 1;
constexpr int kExitNotChecked = 2;

jobs::ValidateSpec ReadValidateSpec(const Arguments& arguments) {
  jobs::ValidateSpec spec;
  spec.full = arguments.Has("--full");
  arguments.Read("DIR", spec.directory);
  arguments.Read("--source", spec.source);
  arguments.Read("--engine", spec.engine);
  arguments.Read("--tensor-parallel", spec.tensor_parallel);
  arguments.Read("--journal", spec.journal);
  arguments.Read("--report", spec.page);
  return spec;
}

int Explain(const jobs::ValidateSpec& spec, const Arguments& arguments) {
  std::string modules_named;
  arguments.Read("--explain", modules_named);
  const std::vector<audit::ModuleExplanation> modules =
      jobs::Explain(spec.directory, spec.engine, modules_named);
  fmt::print("{}", arguments.Has("--json") ? audit::ExplanationJson(modules).dump(2) + "\n"
                                           : audit::ExplanationText(modules));
  return 0;
}

int Audit(const jobs::ValidateSpec& spec, bool json, ProgressStyle style) {
  ProgressWriter progress(style);
  const audit::AuditReport report = jobs::Validate(spec, progress);
  fmt::print("{}", json ? audit::ReportJson(report).dump(2) + "\n" : audit::ReportText(report));
  return report.Clean() ? 0 : kExitDefects;
}

void PrintRules() {
  for (const audit::Rule& rule : audit::AllRules()) {
    fmt::print("{}  {};\n     otherwise {}\n", rule.id, rule.demands, rule.otherwise);
  }
}

}  // namespace

int RunValidate(const Arguments& arguments, const CommandContext& context) {
  if (arguments.Has("--list-rules")) {
    PrintRules();
    return 0;
  }
  const jobs::ValidateSpec spec = ReadValidateSpec(arguments);
  try {
    if (arguments.Has("--explain")) return Explain(spec, arguments);
    return Audit(spec, arguments.Has("--json"), context.progress);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    fmt::print(stderr, "vernier: {}\n", error.what());
    return kExitNotChecked;
  }
}

}  // namespace vernier::tools
