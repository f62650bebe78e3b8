// vernier report: a run and the checkpoint that it wrote as one HTML page.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "audit/report_json.h"
#include "report/audit_record.h"
#include "report/page.h"
#include "report/run_facts.h"
#include "run/export_record.h"
#include "run/store.h"
#include "tools/audit_step.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPageFileName = "report.html";

struct ReportArguments {
  std::string run;
  std::string out;
};

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

Json AuditNow(const fs::path& output, const fs::path& source, ProgressStyle style) {
  Progress progress(style, stderr, {{std::string(kValidatePhase), 1.0}});
  return audit::ReportJson(RunAudit({.directory = output, .source = source}, progress));
}

// The audit of what the run wrote, as it is now; without one, `absent` says why.
Json AuditOfOutput(const run::Store& store, ProgressStyle style, std::string& absent) {
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
  return AuditNow(output, saved ? StillThere(saved->source) : fs::path(), style);
}

void WriteReport(const ReportArguments& arguments, ProgressStyle style) {
  const run::Store store = run::Store::OpenForReading(arguments.run);
  std::string absent;
  Json audit = AuditOfOutput(store, style, absent);
  Json run = report::RunFacts(store);
  run["audit_absent"] = absent.empty() ? Json(nullptr) : Json(absent);
  const fs::path out =
      arguments.out.empty() ? store.run_dir() / kPageFileName : fs::path(arguments.out);
  report::WritePage(out, {.audit = std::move(audit), .run = std::move(run)});
  fmt::print("report       {}\n", out.string());
}

}  // namespace

void AddReportCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "report",
      "Write one HTML page about a run and the checkpoint that it made: verdict, errors by layer, "
      "scales, amax, tokens per expert. It needs no network. Audits the checkpoint again only when "
      "it is not what the run left.");
  auto arguments = std::make_shared<ReportArguments>();
  command->add_option("RUN", arguments->run, "The run directory, or its store file")->required();
  command->add_option("--out", arguments->out, "The page to write; RUN/report.html by default");
  command->callback([&context, arguments] { WriteReport(*arguments, context.progress); });
}

}  // namespace vernier::tools
