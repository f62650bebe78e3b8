#include "audit/report_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/text.h"

namespace vernier::audit {
namespace {

std::string Plural(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", HumanCount(static_cast<uint64_t>(count)), noun,
                     count == 1 ? "" : "s");
}

std::string Verdict(const AuditReport& report) {
  const int64_t errors = report.Count(Severity::kError);
  const int64_t warnings = report.Count(Severity::kWarning);
  if (errors == 0 && warnings == 0) return "no errors";
  return Plural(errors, "error") + ", " + Plural(warnings, "warning");
}

std::string FindingText(const Finding& finding) {
  std::string text =
      fmt::format("{:<7} {}  {}\n", SeverityName(finding.severity), finding.rule, finding.what);
  constexpr std::string_view kIndent = "             ";
  for (const std::string& tensor : finding.tensors) text += fmt::format("{}{}\n", kIndent, tensor);
  const int64_t rest = finding.tensor_count - static_cast<int64_t>(finding.tensors.size());
  if (rest > 0) text += fmt::format("{}and {} more\n", kIndent, HumanCount(rest));
  return text + fmt::format("{}-> {}\n", kIndent, finding.remedy);
}

std::string ErrorRow(std::string_view name, const ErrorStatistics& statistics) {
  return fmt::format("{:<16} {:>8} {:>8} {:>11.5f} {:>8.2f} {:>11.4g} {:>9.4f}%\n", name,
                     statistics.weights, statistics.exact, statistics.RelativeError(),
                     statistics.SqnrDb(), statistics.max_abs_error,
                     100 * statistics.SaturatedShare());
}

std::string ErrorTable(const AuditReport& report) {
  std::string text =
      fmt::format("{:<16} {:>8} {:>8} {:>11} {:>8} {:>11} {:>10}\n", "converted", "weights",
                  "exact", "rel. error", "SQNR dB", "max error", "saturated");
  for (const RoleError& role : report.role_errors) {
    text += ErrorRow(checkpoint::RoleName(role.role), role.statistics);
  }
  return text + ErrorRow("all", report.overall_error);
}

Json FiniteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json StatisticsJson(const ErrorStatistics& statistics) {
  return {{"weights", statistics.weights},
          {"exact", statistics.exact},
          {"values", statistics.values},
          {"relative_error", FiniteOrNull(statistics.RelativeError())},
          {"sqnr_db", FiniteOrNull(statistics.SqnrDb())},
          {"max_abs_error", statistics.max_abs_error},
          {"saturated_share", statistics.SaturatedShare()}};
}

Json FindingJson(const Finding& finding) {
  return {{"rule", finding.rule},          {"severity", SeverityName(finding.severity)},
          {"what", finding.what},          {"tensors", finding.tensors},
          {"count", finding.tensor_count}, {"remedy", finding.remedy}};
}

}  // namespace

std::string ReportText(const AuditReport& report) {
  std::string text = fmt::format("{}: {} ({}, {}", report.directory, Verdict(report),
                                 Plural(report.tensors, "tensor"), HumanBytes(report.bytes));
  for (const auto& [format, count] : report.quantised_weights) {
    text += fmt::format(", {}", Plural(count, fmt::format("{} weight", WeightFormatName(format))));
  }
  text += ")\n";
  for (const Finding& finding : report.findings) text += FindingText(finding);
  if (report.source.empty()) return text;
  text += fmt::format("against {}: {} byte-equal, {} converted\n", report.source,
                      Plural(report.carried_tensors, "tensor"),
                      Plural(report.overall_error.weights, "weight"));
  if (report.role_errors.empty()) return text;
  return text + ErrorTable(report);
}

Json ReportJson(const AuditReport& report) {
  Json json = {{"directory", report.directory},
               {"source", report.source.empty() ? Json(nullptr) : Json(report.source)},
               {"clean", report.Clean()},
               {"tensors", report.tensors},
               {"bytes", report.bytes},
               {"quantised_weights", Json::object()},
               {"carried_tensors", report.carried_tensors},
               {"counts",
                {{"error", report.Count(Severity::kError)},
                 {"warning", report.Count(Severity::kWarning)},
                 {"info", report.Count(Severity::kInfo)}}}};
  for (const auto& [format, count] : report.quantised_weights) {
    json["quantised_weights"][std::string(WeightFormatName(format))] = count;
  }
  json["findings"] = Json::array();
  for (const Finding& finding : report.findings) json["findings"].push_back(FindingJson(finding));
  json["errors"] = {{"overall", StatisticsJson(report.overall_error)}, {"roles", Json::object()}};
  for (const RoleError& role : report.role_errors) {
    json["errors"]["roles"][std::string(checkpoint::RoleName(role.role))] =
        StatisticsJson(role.statistics);
  }
  return json;
}

}  // namespace vernier::audit
