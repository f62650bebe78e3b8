// vernier plan: what a recipe would do, computed from headers; writes nothing.
#include "recipes/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "checkpoint/source_model.h"
#include "export/weight_scales.h"
#include "recipes/budget.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan_summary.h"
#include "tools/command.h"
#include "tools/pipeline.h"
#include "tools/recipe_options.h"
#include "tools/torch_steps.h"

namespace vernier::tools {
namespace {

struct PlanReport {
  recipes::Recipe recipe;
  checkpoint::SourceModel source;
  recipes::Plan plan = {};
  recipes::PlanSummary summary = {};
  recipes::DataPasses passes = {};
  uint64_t scale_bytes = 0;  // read by the export before everything else
  recipes::CalibrationBudget budget = {};
  recipes::DiskNeeds disk = {};
  recipes::MachineSpeed speed = {};
  recipes::TimeForecast time = {};
};

// Only libtorch knows the memory of a device. With a given one, plans for devices that this machine
// does not have.
bool NeedsDevice(const recipes::Recipe& recipe) {
  return recipe.compute.device != "cpu" && recipe.compute.device_memory == 0;
}

recipes::MachineMemory MemoryFor(const recipes::Recipe& recipe) {
  if (recipe.compute.device_memory == 0) return ReadMachineMemory(recipe);
  return {.host_available = recipes::AvailableHostMemory(),
          .device_available = recipe.compute.device_memory};
}

uint64_t ScaleBytes(const PlanReport& report) {
  const exporter::StreamLimits limits = exporter::LimitsOf(report.recipe.compute.stream_memory);
  std::vector<size_t> shards(report.plan.shards.size());
  std::iota(shards.begin(), shards.end(), size_t{0});
  return exporter::WeightScaleBytes(
      report.source, report.plan,
      exporter::GroupsToResolve(report.source, report.plan, shards, limits));
}

PlanReport MakeReport(recipes::Recipe recipe) {
  checkpoint::SourceModel source = OpenSource(recipe);
  PlanReport report = {.recipe = std::move(recipe), .source = std::move(source)};
  report.plan = recipes::MakePlan(report.source, report.recipe);
  recipes::RequireConversion(report.source, report.plan);
  report.summary = recipes::SummarizePlan(report.source, report.plan);
  report.passes = recipes::CountPasses(report.source, report.plan);
  report.scale_bytes = ScaleBytes(report);
  if (!report.plan.observed_modules.empty()) {
    report.budget = recipes::PlanBudget(report.source, report.recipe, MemoryFor(report.recipe));
  }
  report.disk = recipes::ForecastDisk(report.plan, report.budget);
  report.time = recipes::ForecastTime(report.source, report.recipe, report.plan, report.speed);
  return report;
}

int64_t ExpertGroups(const PlanReport& report) {
  const int64_t experts = report.source.family->Dims().experts;
  const int64_t per_group = report.budget.experts_per_group;
  return per_group == 0 ? 0 : (experts + per_group - 1) / per_group;
}

void PrintTotals(std::string_view role, std::string_view action, uint64_t weights,
                 const recipes::TensorTotals& totals) {
  fmt::print("{:<17} {:<17} {:>9} {:>9} {:>12}    {:>9} {:>12}\n", role, action,
             HumanCount(weights), HumanCount(totals.source_tensors),
             HumanBytes(totals.source_bytes), HumanCount(totals.output_tensors),
             HumanBytes(totals.output_bytes));
}

std::string KvCacheText(const recipes::Plan& plan) {
  if (plan.kv_cache == recipes::KvCache::kFp8) {
    return fmt::format("fp8, calibrated scales of {} caches", plan.kv_entries.size());
  }
  return plan.kv_cache == recipes::KvCache::kFp8Cast ? "fp8_cast, all scales 1" : "";
}

void PrintTensors(const PlanReport& report) {
  fmt::print("{:<17} {:<17} {:>9} {:>9} {:>12} -> {:>9} {:>12}\n", "role", "action", "weights",
             "tensors", "bytes", "tensors", "bytes");
  for (const recipes::RoleSummary& row : report.summary.rows) {
    PrintTotals(checkpoint::RoleName(row.role), row.action, row.weights, row.totals);
  }
  PrintTotals("total", "", report.plan.weights.size(), report.summary.totals);
  const std::vector<std::string>& left_out = report.source.checkpoint.left_out();
  if (!left_out.empty()) {
    fmt::print("{:<17} {}, which engines do not read with the rest\n", "left out",
               JoinNames(left_out));
  }
  const std::string kv_cache = KvCacheText(report.plan);
  if (!kv_cache.empty()) fmt::print("{:<17} {}\n", "KV cache", kv_cache);
}

void PrintPass(std::string_view name, uint64_t bytes, std::string_view what) {
  if (bytes > 0) fmt::print("  {:<15} {:>12}  {}\n", name, HumanBytes(bytes), what);
}

void PrintPasses(const PlanReport& report) {
  fmt::print("\nPasses over the source\n");
  PrintPass("calibration", report.passes.calibration, "decoder layers, one after the other");
  PrintPass("weight scales", report.scale_bytes,
            "weights that are too many for stream_memory while their common scale is found");
  PrintPass("export", report.passes.quantisation, "every tensor, copied or converted");
}

void PrintCalibration(const PlanReport& report) {
  const recipes::CalibrationSection& section = report.recipe.calibration;
  const recipes::CalibrationBudget& budget = report.budget;
  if (report.plan.observed_modules.empty()) {
    fmt::print("\nNo calibration: no scale needs one\n  memory for streaming {}\n",
               HumanBytes(report.recipe.compute.stream_memory));
    return;
  }
  fmt::print("\nCalibration of {} modules on {}, {} samples x {} tokens, {}\n",
             HumanCount(report.plan.observed_modules.size()), report.recipe.compute.device,
             HumanCount(static_cast<uint64_t>(section.data.samples)),
             HumanCount(static_cast<uint64_t>(section.data.sequence_length)),
             recipes::ComputeDtypeName(section.dtype));
  fmt::print("  {} sequences a batch, {} queries a chunk", budget.batch_size, budget.query_chunk);
  if (budget.experts_per_group > 0) {
    fmt::print(", {} experts a group ({} groups a layer)", budget.experts_per_group,
               ExpertGroups(report));
  }
  fmt::print("\n  a layer without routed experts {}, a routed expert {}, a batch {}\n",
             HumanBytes(budget.dense_layer_bytes), HumanBytes(budget.expert_bytes),
             HumanBytes(budget.batch_bytes));
  fmt::print("  hidden states of all samples {}, {}\n", HumanBytes(budget.hidden_bytes),
             budget.spill_hidden ? "in files of the run directory" : "in memory");
  fmt::print("  peak host memory {}: working set {}, program and headers {}\n",
             HumanBytes(budget.host_peak + budget.process_bytes), HumanBytes(budget.host_peak),
             HumanBytes(budget.process_bytes));
  fmt::print("  peak device memory {}{}\n", HumanBytes(budget.device_peak),
             report.recipe.compute.device == "cpu" ? " (part of the working set)" : "");
}

void PrintNeeds(const PlanReport& report) {
  const recipes::DiskNeeds& disk = report.disk;
  fmt::print(
      "\nDisk\n  output {} in {} files, activation checkpoints {}, an unfinished layer "
      "up to {}, store about {}\n",
      HumanBytes(disk.output), report.plan.shards.size(), HumanBytes(disk.activations),
      HumanBytes(disk.layer), HumanBytes(disk.store));
  fmt::print(
      "\nTime, if the machine computes {:.0f} GFLOP/s and moves {}/s\n"
      "  calibrate {}, export {}, validate {}\n",
      report.speed.flops / 1e9, HumanBytes(static_cast<uint64_t>(report.speed.bytes_per_second)),
      HumanDuration(report.time.calibrate_seconds), HumanDuration(report.time.export_seconds),
      HumanDuration(report.time.validate_seconds));
}

void PrintReport(const PlanReport& report) {
  if (!report.recipe.description.empty()) fmt::print("{}\n", report.recipe.description);
  fmt::print("source  {} ({})\noutput  {} (dialect {})\nrun     {}\n\n",
             report.recipe.source.string(), report.source.family->model_type(),
             report.recipe.output.string(), recipes::DialectName(report.recipe.dialect),
             report.recipe.run_dir.string());
  PrintTensors(report);
  PrintPasses(report);
  PrintCalibration(report);
  PrintNeeds(report);
}

Json TotalsJson(const recipes::TensorTotals& totals) {
  return {{"source_tensors", totals.source_tensors},
          {"source_bytes", totals.source_bytes},
          {"output_tensors", totals.output_tensors},
          {"output_bytes", totals.output_bytes}};
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
  const recipes::CalibrationBudget& budget = report.budget;
  return {{"observed_modules", report.plan.observed_modules.size()},
          {"batch_size", budget.batch_size},
          {"query_chunk", budget.query_chunk},
          {"experts_per_group", budget.experts_per_group},
          {"expert_groups", ExpertGroups(report)},
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

Json ReportJson(const PlanReport& report) {
  return {{"description", report.recipe.description},
          {"source", report.recipe.source.string()},
          {"model_type", report.source.family->model_type()},
          {"output", report.recipe.output.string()},
          {"run_dir", report.recipe.run_dir.string()},
          {"dialect", recipes::DialectName(report.recipe.dialect)},
          {"kv_cache",
           {{"format", recipes::KvCacheName(report.plan.kv_cache)},
            {"scaled_caches", report.plan.kv_entries.size()}}},
          {"roles", RolesJson(report.summary)},
          {"total", TotalsJson(report.summary.totals)},
          {"left_out", report.source.checkpoint.left_out()},
          {"output_files", report.plan.shards.size()},
          {"output_file_bytes", report.plan.OutputFileBytes()},
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
          {"seconds",
           {{"calibrate", report.time.calibrate_seconds},
            {"export", report.time.export_seconds},
            {"validate", report.time.validate_seconds}}}};
}

struct PlanOptions {
  RecipeOptions recipe;
  bool json = false;
};

}  // namespace

void AddPlanCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "plan",
      "Show what a recipe would do to each role's tensors, and the memory, disk and time it would "
      "take. Reads headers only and writes nothing.");
  auto options = std::make_shared<PlanOptions>();
  AddRecipeOptions(*command, options->recipe);
  command->add_flag("--json", options->json, "Print one JSON object, sizes in bytes");
  command->callback([options, &context] {
    const recipes::Recipe recipe = LoadRecipe(options->recipe);
    if (NeedsDevice(recipe)) RequireTorch(context.argv);
    const PlanReport report = MakeReport(recipe);
    if (options->json) {
      fmt::print("{}\n", ReportJson(report).dump(2));
    } else {
      PrintReport(report);
    }
  });
}

}  // namespace vernier::tools
