#include "jobs/summary_json.h"

#include <string>

#include "audit/report_json.h"
#include "recipes/budget_json.h"

namespace vernier::jobs {
namespace {

Json CalibrationJson(const CalibrationSummary& summary) {
  Json clamped = Json::array();
  for (const run::NonFiniteRecord& record : summary.clamped) {
    clamped.push_back({{"module", record.module},
                       {"layer", record.layer},
                       {"sample", record.sample},
                       {"value", record.value},
                       {"count", record.count}});
  }
  Json stages = Json::array();
  for (const StageTime& stage : summary.outcome.stages) {
    stages.push_back({{"stage", stage.stage}, {"seconds", stage.seconds}, {"times", stage.times}});
  }
  const CalibrationOutcome& outcome = summary.outcome;
  return {{"layers", outcome.layers},
          {"resumed_at_layer", outcome.resumed_at_layer},
          {"samples", outcome.samples},
          {"tokens", outcome.tokens},
          {"device_peak_bytes", outcome.device_peak ? Json(*outcome.device_peak) : Json()},
          {"device_limit_bytes", outcome.device_limit},
          {"out_of_memory", outcome.ran_out},
          {"clamped", std::move(clamped)},
          {"stages", std::move(stages)}};
}

Json FallbacksJson(const exporter::ExportSummary& done) {
  Json list = Json::array();
  for (const exporter::FallbackScale& fallback : done.fallbacks) {
    list.push_back({{"group", fallback.group},
                    {"from", exporter::AmaxOriginName(fallback.from)},
                    {"amax", fallback.amax}});
  }
  return list;
}

Json ExportJson(const ExportOutcome& exported) {
  const exporter::ExportSummary& done = exported.done;
  return {{"plan_hash", done.plan_hash},
          {"left_out", exported.left_out},
          {"source_tensors", exported.source_tensors},
          {"carried_tensors", done.carried_tensors},
          {"converted_tensors", done.converted_tensors},
          {"dropped_tensors", done.dropped_tensors},
          {"source_bytes", done.source_tensor_bytes},
          {"output_tensors", done.output_tensors},
          {"output_bytes", done.output_tensor_bytes},
          {"shards_written", done.shards_written},
          {"shards_reused", done.shards_reused},
          {"scale_groups", exported.scale_groups},
          {"fallbacks", FallbacksJson(done)},
          {"kv_cache", recipes::KvCacheName(exported.kv_cache)},
          {"budget", exported.budget ? recipes::BudgetOutcomeJson(*exported.budget) : Json()},
          {"clamped_elements", done.clamped_elements}};
}

Json LayoutsJson(const std::vector<LayoutOutcome>& layouts) {
  Json list = Json::array();
  for (const LayoutOutcome& written : layouts) {
    list.push_back({{"layout", exporter::KernelLayoutName(written.layout)},
                    {"files", written.pack.files},
                    {"folded_scales", written.pack.fold.scales},
                    {"rounded_scales", written.pack.fold.inexact},
                    {"vanished_scales", written.pack.fold.vanished}});
  }
  return list;
}

Json PhaseJson(const PhaseOutcome& phase) {
  const auto& [time, use] = phase;
  Json json = {{"phase", time.name},
               {"seconds", time.seconds},
               {"forecast_seconds", time.expected_seconds},
               {"processors_busy", nullptr},
               {"disk_busy", nullptr},
               {"gpu", nullptr},
               {"gpu_busy", nullptr}};
  if (!use) return json;
  json["processors_busy"] = use->processors;
  if (use->disk) json["disk_busy"] = *use->disk;
  if (use->gpu) json["gpu"] = use->gpu->name;
  if (use->gpu) json["gpu_busy"] = use->gpu->busy;
  return json;
}

}  // namespace

Json PipelineJson(const PipelineSummary& summary) {
  Json seconds = Json::object();
  Json phases = Json::array();
  for (const PhaseOutcome& phase : summary.phases) {
    seconds[phase.time.name] = phase.time.seconds;
    phases.push_back(PhaseJson(phase));
  }
  return {{"source", summary.source.string()},
          {"output", summary.output.string()},
          {"run_dir", summary.run_dir.string()},
          {"recipe", summary.recipe.empty() ? Json() : Json(summary.recipe)},
          {"warnings", summary.warnings},
          {"clean", summary.Clean()},
          {"seconds", std::move(seconds)},
          {"phases", std::move(phases)},
          {"calibration", summary.calibration ? CalibrationJson(*summary.calibration) : Json()},
          {"export", summary.exported ? ExportJson(*summary.exported) : Json()},
          {"audit", summary.audit ? audit::ReportJson(*summary.audit) : Json()},
          {"evaluation", summary.evaluation ? EvalJson(*summary.evaluation) : Json()},
          {"layouts", LayoutsJson(summary.layouts)}};
}

Json ReportJson(const ReportSummary& summary) {
  return {{"page", summary.page.string()},
          {"audit_absent", summary.audit_absent.empty() ? Json() : Json(summary.audit_absent)}};
}

Json TraceJson(const TraceSummary& summary) {
  Json json = {{"windows", summary.windows},
               {"requantised_weights", summary.requantised_weights},
               {"perplexity", nullptr},
               {"predicted_tokens", nullptr}};
  if (summary.likelihood) {
    json["perplexity"] = summary.likelihood->perplexity.value;
    json["predicted_tokens"] = summary.likelihood->tokens;
  }
  return json;
}

}  // namespace vernier::jobs
