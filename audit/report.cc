#include "audit/report.h"

#include <algorithm>
#include <cmath>
#include <limits>
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

void FindingList::Add(const Defect& defect, std::string_view subject) {
  const auto [entry, is_new] = by_rule_and_text_.try_emplace(
      {std::string(defect.rule), std::string(defect.what)}, findings_.size());
  if (is_new) {
    findings_.push_back({std::string(defect.rule),
                         defect.severity,
                         std::string(defect.what),
                         {},
                         0,
                         std::string(defect.remedy)});
  }
  Finding& finding = findings_[entry->second];
  if (finding.tensors.size() < kShownTensors) finding.tensors.emplace_back(subject);
  ++finding.tensor_count;
}

bool FindingList::HasErrors() const {
  return std::any_of(findings_.begin(), findings_.end(),
                     [](const Finding& finding) { return finding.severity == Severity::kError; });
}

std::vector<Finding> FindingList::Sorted() const {
  std::vector<Finding> sorted = findings_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.severity, a.rule) < std::tie(b.severity, b.rule);
  });
  return sorted;
}

void ErrorStatistics::Merge(const ErrorStatistics& other) {
  weights += other.weights;
  exact += other.exact;
  values += other.values;
  saturated += other.saturated;
  squared_error += other.squared_error;
  squared_source += other.squared_source;
  max_abs_error = std::max(max_abs_error, other.max_abs_error);
}

double ErrorStatistics::RelativeError() const {
  if (squared_error == 0) return 0;
  if (squared_source == 0) return std::numeric_limits<double>::infinity();
  return std::sqrt(squared_error / squared_source);
}

double ErrorStatistics::SqnrDb() const {
  if (squared_error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(squared_source / squared_error);
}

double ErrorStatistics::SaturatedShare() const {
  return values == 0 ? 0 : static_cast<double>(saturated) / static_cast<double>(values);
}

int64_t AuditReport::Count(Severity severity) const {
  return std::count_if(findings.begin(), findings.end(),
                       [severity](const Finding& finding) { return finding.severity == severity; });
}

}  // namespace vernier::audit
