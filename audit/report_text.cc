#include "audit/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

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
      fmt::format("{:<7} {}  {}", SeverityName(finding.severity), finding.rule, finding.what);
  if (finding.engines != EngineSet::All()) text += fmt::format(" [{}]", finding.engines.Names());
  text += "\n";
  constexpr std::string_view kIndent = "             ";
  for (const std::string& tensor : finding.tensors) text += fmt::format("{}{}\n", kIndent, tensor);
  const int64_t rest = finding.tensor_count - static_cast<int64_t>(finding.tensors.size());
  if (rest > 0) text += fmt::format("{}and {} more\n", kIndent, HumanCount(rest));
  return text + fmt::format("{}-> {}\n", kIndent, finding.remedy);
}

std::string ModulesText(const EngineVerdict& verdict) {
  std::string text;
  for (const auto& [format, count] : verdict.modules) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
                        HumanCount(static_cast<uint64_t>(count)), format);
  }
  return text;
}

// "devices       1, 2, 4; not 8: layers.0.ffn.experts.0.w2 (64 columns over 8, blocks of
// 16)": the same for all engines.
std::string SplitsText(const EngineVerdict& verdict) {
  std::string works;
  std::string fails;
  for (const TensorParallelVerdict& split : verdict.tensor_parallel) {
    std::string& list = split.problems == 0 ? works : fails;
    list += fmt::format("{}{}", list.empty() ? "" : ", ", split.size);
  }
  if (fails.empty()) return fmt::format("{:<13} {}\n", "devices", works);
  for (const TensorParallelVerdict& split : verdict.tensor_parallel) {
    if (split.problems == 0) continue;
    return fmt::format("{:<13} {}; not {}: {}\n", "devices", works, fails, split.first_problem);
  }
  return {};
}

std::string EngineText(const EngineVerdict& verdict) {
  const std::string name = fmt::format("{}{}{}", EngineName(verdict.engine),
                                       verdict.release.empty() ? "" : " ", verdict.release);
  std::string text = fmt::format("{:<13} {}: ", name, verdict.path);
  if (!verdict.refusal.empty()) return text + fmt::format("refuses it, {}\n", verdict.refusal);
  text += verdict.modules.empty() ? "nothing to build" : ModulesText(verdict);
  if (verdict.disagreements > 0) {
    text += fmt::format("; {} stored otherwise",
                        HumanCount(static_cast<uint64_t>(verdict.disagreements)));
  }
  return text + "\n";
}

// "unclaimed     2 matrices that no module claimed: model.a, model.b"
std::string UnclaimedText(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  const size_t shown = std::min(kShown, names.size());
  std::string text =
      fmt::format("{:<13} {} that no module claimed", "unclaimed",
                  names.size() == 1 ? "1 matrix" : fmt::format("{} matrices", names.size()));
  if (shown > 0) text += ": " + JoinNames(std::span(names).first(shown));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text + "\n";
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

}  // namespace

std::string ReportText(const AuditReport& report) {
  std::string text = fmt::format("{}: {} ({}, {}", report.directory, Verdict(report),
                                 Plural(report.tensors, "tensor"), HumanBytes(report.bytes));
  for (const auto& [format, count] : report.quantised_weights) {
    text += fmt::format(", {}", Plural(count, fmt::format("{} weight", FormatName(format))));
  }
  text += ")\n";
  if (report.scale_bytes_read < report.scale_bytes) {
    text += fmt::format("block scales  a sample: {} of {}\n", HumanBytes(report.scale_bytes_read),
                        HumanBytes(report.scale_bytes));
  }
  for (const Finding& finding : report.findings) text += FindingText(finding);
  for (const EngineVerdict& verdict : report.engines) text += EngineText(verdict);
  if (!report.engines.empty()) text += SplitsText(report.engines.front());
  if (report.source.empty()) return text + UnclaimedText(report.unclaimed);
  text += fmt::format("against {}: {} byte-equal, {} converted\n", report.source,
                      Plural(report.carried_tensors, "tensor"),
                      Plural(report.overall_error.weights, "weight"));
  if (!report.role_errors.empty()) text += ErrorTable(report);
  return text + UnclaimedText(report.unclaimed);
}

}  // namespace vernier::audit
