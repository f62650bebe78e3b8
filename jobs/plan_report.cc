#include "jobs/plan_report.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "base/thread_count.h"
#include "calib/budget/host_memory.h"
#include "checkpoint/read_speed.h"
#include "export/stream_settings.h"
#include "export/weight_scales.h"
#include "jobs/budget.h"
#include "jobs/pipeline.h"
#include "recipes/budget_json.h"
#include "recipes/convert_recipe.h"

namespace vernier::jobs {
namespace {

bool NeedsDeviceMemory(const recipes::Recipe& recipe) {
  return recipe.compute.device != "cpu" && recipe.compute.device_memory.bytes == 0;
}

calib::MachineMemory MemoryFor(const recipes::Recipe& recipe, const ModelJobs* models) {
  if (NeedsDeviceMemory(recipe)) {
    const std::string& device = recipe.compute.device;
    return RequireModels(models, "a plan for " + device).ReadMemory(device);
  }
  const uint64_t host = calib::AvailableHostMemory();
  const uint64_t given = recipe.compute.device_memory.bytes;
  return {.host_available = host, .device_available = given == 0 ? host : given};
}

uint64_t ScaleBytes(const PlanReport& report) {
  const exporter::StreamLimits limits = exporter::LimitsOf(report.recipe.compute.stream_memory);
  std::vector<size_t> shards(report.plan.shards.size());
  std::iota(shards.begin(), shards.end(), size_t{0});
  return exporter::WeightScaleBytes(
      report.source, report.OutputPlan(),
      exporter::GroupsToResolve(report.source, report.OutputPlan(), shards, limits));
}

calib::MachineSpeed SpeedFor(const PlanReport& report, const ModelJobs* models) {
  const recipes::ComputeSection& compute = report.recipe.compute;
  calib::MachineSpeed speed =
      calib::UsualSpeed(report.source, compute.device, ComputeThreadCount(compute.threads));
  if (!report.probed) return speed;
  speed.bytes_per_second = checkpoint::MeasureReadSpeed(report.source.checkpoint);
  if (!report.plan.observed_modules.empty()) {
    speed.compute = RequireModels(models, "a probe of " + compute.device)
                        .MeasureSpeed(report.source, report.recipe, report.plan);
  }
  return speed;
}

// A run directory that is another's says why; the plan without it is of use all the same.
void SpendBudgetOf(PlanReport& report) {
  try {
    report.spent = SpendBudgetIfMeasured(report.source, report.recipe, report.plan);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kStoreIdentity) throw;
    report.unspent = error.what();
  }
}

Json TotalsJson(const recipes::TensorTotals& totals) {
  return {{"source_tensors", totals.source_tensors},
          {"source_bytes", totals.source_bytes},
          {"output_tensors", totals.output_tensors},
          {"output_bytes", totals.output_bytes}};
}

// A plan that calibrates nothing computes nothing.
Json SpeedJson(const PlanReport& report) {
  Json json = {{"probed", report.probed},
               {"dense_flops", nullptr},
               {"expert_flops", nullptr},
               {"bytes_per_second", report.speed.bytes_per_second},
               {"cached_share", report.speed.cached_share}};
  if (report.plan.observed_modules.empty()) return json;
  json["dense_flops"] = report.speed.compute.dense_flops;
  json["expert_flops"] = report.speed.compute.expert_flops;
  return json;
}

Json RolesJson(const recipes::PlanSummary& summary) {
  Json rows = Json::array();
  for (const recipes::RoleSummary& row : summary.rows) {
    Json entry = {
        {"role", checkpoint::RoleName(row.role)}, {"action", row.action}, {"weights", row.weights}};
    entry.update(TotalsJson(row.totals));
    rows.push_back(std::move(entry));
  }
  return rows;
}

Json BudgetJson(const PlanReport& report) {
  const calib::CalibrationBudget& budget = report.budget;
  return {{"observed_modules", report.plan.observed_modules.size()},
          {"folds", report.plan.folds.size()},
          {"solved_weights", report.SolvedWeights()},
          {"tried_weights", report.TriedWeights()},
          {"runs_layers_twice", report.plan.propagates},
          {"batch_size", budget.batch_size},
          {"query_chunk", budget.query_chunk},
          {"experts_per_group", budget.experts_per_group},
          {"hidden_on_device", budget.hidden_on_device},
          {"expert_groups", report.ExpertGroups()},
          {"spill_hidden", budget.spill_hidden},
          {"dense_layer_bytes", budget.dense_layer_bytes},
          {"expert_bytes", budget.expert_bytes},
          {"batch_bytes", budget.batch_bytes},
          {"hidden_bytes", budget.hidden_bytes},
          {"checkpoint_bytes", budget.checkpoint_bytes},
          {"process_bytes", budget.process_bytes},
          {"host_peak_bytes", budget.host_peak + budget.process_bytes},
          {"device_peak_bytes", budget.device_peak}};
}

}  // namespace

int64_t PlanReport::ExpertGroups() const {
  const int64_t experts = source.family->Dims().experts;
  const int64_t per_group = budget.experts_per_group;
  return per_group == 0 ? 0 : (experts + per_group - 1) / per_group;
}

int64_t PlanReport::SolvedWeights() const {
  return std::ranges::count(plan.weights, recipes::ScaleMethod::kGptq, &recipes::WeightPlan::scale);
}

int64_t PlanReport::TriedWeights() const {
  return std::ranges::count(plan.weights, true, &recipes::WeightPlan::tried);
}

bool PlanNeedsModels(const recipes::Recipe& recipe, SpeedFrom speed_from) {
  if (!recipes::ObservesInputs(recipe)) return false;
  return NeedsDeviceMemory(recipe) || speed_from == SpeedFrom::kProbe;
}

PlanReport MakePlanReport(recipes::Recipe recipe, SpeedFrom speed_from, const ModelJobs* models) {
  checkpoint::SourceModel source = OpenSource(recipe);
  PlanReport report = {.recipe = std::move(recipe),
                       .source = std::move(source),
                       .probed = speed_from == SpeedFrom::kProbe};
  report.plan = recipes::MakePlan(report.source, report.recipe);
  recipes::RequireConversion(report.source, report.plan);
  SpendBudgetOf(report);
  report.summary = recipes::SummarizePlan(report.source, report.OutputPlan());
  report.passes = recipes::CountPasses(report.source, report.plan);
  report.scale_bytes = ScaleBytes(report);
  const calib::Workload workload =
      calib::WorkloadOf(report.recipe, report.source.layout, report.plan);
  if (!report.plan.observed_modules.empty()) {
    report.budget = calib::PlanBudget(report.source, calib::ComputeOf(report.recipe), workload,
                                      MemoryFor(report.recipe, models));
  }
  report.disk = calib::ForecastDisk(report.source, report.plan, report.budget);
  report.disk.output = report.OutputPlan().OutputFileBytes();
  report.speed = SpeedFor(report, models);
  report.time = calib::ForecastTime(report.source, workload, report.plan, report.speed);
  const calib::TimeForecast of_output =
      calib::ForecastTime(report.source, workload, report.OutputPlan(), report.speed);
  report.time.export_seconds = of_output.export_seconds;
  report.time.validate_seconds = of_output.validate_seconds;
  return report;
}

Json PlanJson(const PlanReport& report) {
  return {{"recipe", report.recipe.shipped_as.empty() ? Json() : Json(report.recipe.shipped_as)},
          {"description", report.recipe.description},
          {"source", report.recipe.source.string()},
          {"model_type", report.source.family->model_type()},
          {"output", report.recipe.output.string()},
          {"run_dir", report.recipe.run_dir.string()},
          {"dialect", report.recipe.dialect->name},
          {"kv_cache",
           {{"format", recipes::KvCacheName(report.plan.kv_cache)},
            {"scaled_caches", report.plan.kv_entries.size()}}},
          {"roles", RolesJson(report.summary)},
          {"total", TotalsJson(report.summary.totals)},
          {"warnings", report.OutputPlan().warnings},
          {"left_out", report.source.checkpoint.left_out()},
          {"output_files", report.plan.shards.size()},
          {"output_file_bytes", report.OutputPlan().OutputFileBytes()},
          {"budget", report.spent ? BudgetOutcomeJson(*report.spent->budget) : Json()},
          {"passes",
           {{"calibration_bytes", report.passes.calibration},
            {"weight_scale_bytes", report.scale_bytes},
            {"export_bytes", report.passes.quantisation}}},
          {"calibration", BudgetJson(report)},
          {"disk",
           {{"output_bytes", report.disk.output},
            {"activation_bytes", report.disk.activations},
            {"unfinished_layer_bytes", report.disk.layer},
            {"store_bytes", report.disk.store}}},
          {"speed", SpeedJson(report)},
          {"seconds",
           {{"calibrate", report.time.calibrate_seconds},
            {"export", report.time.export_seconds},
            {"validate", report.time.validate_seconds}}}};
}

}  // namespace vernier::jobs
