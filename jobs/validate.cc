#include "jobs/validate.h"

#include "audit/report_json.h"
#include "base/error.h"
#include "jobs/audit_step.h"
#include "report/page.h"

namespace vernier::jobs {

audit::AuditReport Validate(const ValidateSpec& spec, ProgressListener& listener) {
  audit::AuditOptions options;
  options.directory = spec.directory;
  options.source = spec.source;
  options.engines = audit::EnginesFromOption(spec.engine);
  options.tensor_parallel = spec.tensor_parallel;
  options.journal = spec.journal;
  if (spec.full) options.depth = audit::AuditDepth::kFull;
  Progress progress(listener, {{std::string(kValidatePhase), 1.0}});
  audit::AuditReport report = RunAudit(options, progress);
  if (!spec.page.empty()) report::WritePage(spec.page, {.audit = audit::ReportJson(report)});
  return report;
}

std::vector<audit::ModuleExplanation> Explain(const std::filesystem::path& directory,
                                              const std::string& engine,
                                              const std::string& modules) {
  std::vector<audit::ModuleExplanation> found =
      audit::ExplainModules(directory, audit::EnginesFromOption(engine), modules);
  if (!found.empty()) return found;
  throw Error(ErrorCode::kBadArgument, "--explain",
              "no module that engines build matches \"" + modules + "\"",
              "Give a name or a glob such as \"*.0.*\"");
}

}  // namespace vernier::jobs
