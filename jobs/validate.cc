#include "jobs/validate.h"

#include <algorithm>
#include <filesystem>

#include "audit/report_json.h"
#include "base/error.h"
#include "checkpoint/containers/registry.h"
#include "export/output_directory.h"
#include "jobs/audit_step.h"
#include "report/page.h"

namespace vernier::jobs {
namespace {

namespace fs = std::filesystem;

// An output of another container is whole without what the audit reads.
void RefuseGguf(const fs::path& directory) {
  if (!fs::is_directory(directory) || !fs::exists(directory / exporter::kManifestFileName)) return;
  const auto holds = [&](const checkpoint::Container& container) {
    return std::ranges::any_of(fs::directory_iterator(directory), [&](const auto& entry) {
      return entry.path().extension() == container.extension();
    });
  };
  if (!holds(checkpoint::GgufContainer()) || holds(checkpoint::SafetensorsContainer())) return;
  throw Error(ErrorCode::kNoCheckpoint, directory.string(),
              "is of GGUF files, and the audit judges what vLLM and SGLang load",
              "The command that wrote them, given again, compares every byte with its hashes");
}

}  // namespace

audit::AuditReport Validate(const ValidateSpec& spec, ProgressListener& listener) {
  RefuseGguf(spec.directory);
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
