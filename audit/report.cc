#include "audit/report.h"

#include <algorithm>
#include <tuple>

namespace vernier::audit {
namespace {

constexpr size_t kShownTensors = 4;

}  // namespace

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kInfo:
      break;
  }
  return "info";
}

std::string_view AuditDepthName(AuditDepth depth) {
  return depth == AuditDepth::kFull ? "full" : "scales";
}

void FindingList::Add(const Defect& defect, std::string_view subject, EngineSet engines) {
  const EngineSet concerned = engines & engines_;
  if (concerned.empty()) return;
  const auto [entry, is_new] = index_.try_emplace(
      {std::string(defect.rule), std::string(defect.what), engines}, findings_.size());
  if (is_new) {
    findings_.push_back({.rule = std::string(defect.rule),
                         .severity = defect.severity,
                         .what = std::string(defect.what),
                         .engines = engines,
                         .tensors = {},
                         .tensor_count = 0,
                         .remedy = std::string(defect.remedy)});
  }
  Finding& finding = findings_[entry->second];
  if (finding.tensors.size() < kShownTensors) finding.tensors.emplace_back(subject);
  ++finding.tensor_count;
}

bool FindingList::HasErrors() const {
  return std::any_of(findings_.begin(), findings_.end(),
                     [](const Finding& finding) { return finding.severity == Severity::kError; });
}

bool FindingList::HasErrorsOf(std::span<const std::string_view> rules) const {
  return std::any_of(findings_.begin(), findings_.end(), [&](const Finding& finding) {
    return finding.severity == Severity::kError &&
           std::find(rules.begin(), rules.end(), finding.rule) != rules.end();
  });
}

std::vector<Finding> FindingList::Sorted() const {
  std::vector<Finding> sorted = findings_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.severity, a.rule) < std::tie(b.severity, b.rule);
  });
  return sorted;
}

int64_t AuditReport::Count(Severity severity) const {
  return std::count_if(findings.begin(), findings.end(),
                       [severity](const Finding& finding) { return finding.severity == severity; });
}

}  // namespace vernier::audit
