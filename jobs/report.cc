#include "jobs/report.h"

#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "audit/report_json.h"
#include "base/json.h"
#include "jobs/audit_step.h"
#include "report/audit_record.h"
#include "report/page.h"
#include "report/run_facts.h"
#include "run/export_record.h"
#include "run/store.h"

namespace vernier::jobs {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPageFileName = "report.html";

// The newest export that was finished.
std::optional<run::ExportRecord> FinishedExport(const run::Store& store) {
  std::optional<run::ExportRecord> newest;
  for (run::ExportRecord& record : run::Exports(store.database())) {
    if (!record.finished_at.empty()) newest = std::move(record);
  }
  return newest;
}

// `source` where it still is one, so that values can be compared.
fs::path StillThere(const fs::path& source) {
  std::error_code error;
  return fs::is_directory(source, error) ? source : fs::path();
}

Json AuditNow(const fs::path& output, const fs::path& source, ProgressListener& listener) {
  Progress progress(listener, {{std::string(kValidatePhase), 1.0}});
  return audit::ReportJson(RunAudit({.directory = output, .source = source}, progress));
}

// The audit of what the run wrote, as it is now; without one, `absent` says why.
Json AuditOfOutput(const run::Store& store, ProgressListener& listener, std::string& absent) {
  const std::optional<run::ExportRecord> exported = FinishedExport(store);
  if (!exported) {
    absent = "this run has finished no export";
    return nullptr;
  }
  const std::optional<report::AuditRecord> saved = report::LoadAudit(store.run_dir());
  const bool of_this_export = saved && saved->plan_hash == exported->plan_hash;
  const fs::path output = of_this_export ? saved->output : fs::path(exported->output);
  std::error_code error;
  if (!fs::is_directory(output, error)) {
    absent = output.string() + ", which this run wrote, is not there";
    return nullptr;
  }
  if (of_this_export && saved->output_state == report::OutputState(output)) return saved->audit;
  // Every export of a run is made from one source.
  return AuditNow(output, saved ? StillThere(saved->source) : fs::path(), listener);
}

}  // namespace

ReportSummary WriteReport(const ReportSpec& spec, ProgressListener& listener) {
  const run::Store store = run::Store::OpenForReading(spec.run);
  std::string absent;
  Json audit = AuditOfOutput(store, listener, absent);
  Json run = report::RunFacts(store);
  run["audit_absent"] = absent.empty() ? Json(nullptr) : Json(absent);
  const fs::path page = spec.out.empty() ? store.run_dir() / kPageFileName : spec.out;
  report::WritePage(page, {.audit = std::move(audit), .run = std::move(run)});
  return {.page = page, .audit_absent = absent};
}

}  // namespace vernier::jobs
