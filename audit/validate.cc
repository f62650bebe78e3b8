#include "audit/validate.h"

#include <optional>
#include <string>
#include <vector>

#include "audit/dequantization_error.h"
#include "audit/rules.h"
#include "audit/source_rules.h"
#include "audit/subject.h"
#include "checkpoint/model_layout.h"

namespace vernier::audit {
namespace {

constexpr Defect kUnreadableLayout = {
    "C03", Severity::kError, "a weight cannot be read, or does not fit the model in config.json",
    "Compare the dimensions in config.json with the weight's shape"};
constexpr Defect kSourceDefect = {"C01", Severity::kError, "the source itself is defective",
                                  "Download the source again; nothing was compared"};
constexpr Defect kNotMeasured = {
    "C02", Severity::kInfo, "dequantisation errors were not measured because of the errors above",
    "Repair them and validate again"};

// Dimensions against config.json, with the reader that calibration and export use. Only on
// checkpoints without errors so far: the rules say more than the reader's first complaint.
void CheckReadable(const Subject& subject, FindingList* findings) {
  if (findings->HasErrors()) return;
  std::vector<std::string> problems;
  BuildModelLayout(subject.checkpoint, *subject.family, &problems);
  for (const std::string& problem : problems) findings->Add(kUnreadableLayout, problem);
}

void CompareWithSource(const Subject& subject, const std::filesystem::path& directory,
                       ReadMeter* meter, FindingList* findings, AuditReport* report) {
  const bool readable = !findings->HasErrors();
  FindingList source_findings;
  const std::optional<Subject> source = OpenSubject(directory, &source_findings);
  if (source) CheckFormats(*source, &source_findings);
  if (source) CheckReadable(*source, &source_findings);
  if (source_findings.HasErrors()) {
    for (const Finding& finding : source_findings.Sorted()) {
      findings->Add(kSourceDefect, finding.what + ": " + finding.tensors.front());
    }
    return;
  }
  const SourceMatch match = MatchSource(subject, *source, findings);
  report->carried_tensors = CompareCarried(subject, *source, match, meter, findings);
  if (match.converted.empty()) return;
  if (!readable) {
    findings->Add(kNotMeasured, std::to_string(match.converted.size()) + " weights");
    return;
  }
  report->role_errors = MeasureErrors(subject, *source, match, meter, findings);
  for (const RoleError& role : report->role_errors) report->overall_error.Merge(role.statistics);
}

void CheckSubject(const Subject& subject, const AuditOptions& options, FindingList* findings,
                  AuditReport* report) {
  const bool compare = !options.source.empty();
  const bool full = options.full || compare;
  report->tensors = static_cast<int64_t>(subject.checkpoint.tensors().size());
  report->bytes = subject.checkpoint.TensorBytes();
  for (const Module& module : subject.index.modules) {
    if (IsQuantised(module.format) && module.weight != kAbsent) {
      ++report->quantised_weights[module.format];
    }
  }
  ReadMeter meter(ScaleBytes(subject) + (full ? ValueBytes(subject) : 0) +
                      (compare ? subject.checkpoint.TensorBytes() : 0),
                  options.on_read);
  CheckFormats(subject, findings);
  CheckModel(subject, findings);
  CheckConfigs(subject, findings);
  CheckDeepseekV4(subject, findings);
  CheckReadable(subject, findings);
  CheckScales(subject, &meter, findings);
  if (full) CheckValues(subject, &meter, findings);
  if (compare) CompareWithSource(subject, options.source, &meter, findings, report);
}

}  // namespace

AuditReport Validate(const AuditOptions& options) {
  AuditReport report;
  report.directory = options.directory.string();
  report.source = options.source.string();
  FindingList findings;
  const std::optional<Subject> subject = OpenSubject(options.directory, &findings);
  if (subject) CheckSubject(*subject, options, &findings, &report);
  report.findings = findings.Sorted();
  return report;
}

}  // namespace vernier::audit
