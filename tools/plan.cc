// vernier plan: what a recipe would do, computed from headers; writes nothing.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/text.h"
#include "calib/budget/budget.h"
#include "jobs/plan_report.h"
#include "tools/budget_text.h"
#include "tools/command.h"
#include "tools/read_spec.h"
#include "tools/torch.h"

namespace vernier::tools {
namespace {

using jobs::PlanReport;

void PrintTotals(std::string_view role, std::string_view action, uint64_t weights,
                 const recipes::TensorTotals& totals) {
  fmt::print("{:<17} {:<17} {:>9} {:>9} {:>12}    {:>9} {:>12}\n", role, action,
             HumanCount(weights), HumanCount(totals.source_tensors),
             HumanBytes(totals.source_bytes), HumanCount(totals.output_tensors),
             HumanBytes(totals.output_bytes));
}

std::string KvCacheText(const recipes::Plan& plan) {
  if (plan.kv_cache == recipes::KvCache::kNone) return {};
  const std::string_view name = recipes::KvCacheName(plan.kv_cache);
  if (!recipes::IsCalibrated(plan.kv_cache)) return fmt::format("{}, all scales 1", name);
  return fmt::format("{}, calibrated scales of {} caches", name, plan.kv_entries.size());
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
  if (!report.recipe.budget.given()) return;
  fmt::print("\n");
  if (!report.spent) {
    fmt::print("budget       formats are chosen once a calibration has measured what they cost\n");
    if (!report.unspent.empty()) fmt::print("             {}\n", report.unspent);
    return;
  }
  PrintBudget(*report.spent->budget);
  PrintPromoted(*report.spent->budget);
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

// "  factors at 12 places, 21 weights by gptq, formats of 14 weights; each layer runs twice"
void PrintDecisions(const PlanReport& report) {
  std::vector<std::string> decisions;
  if (!report.plan.folds.empty()) {
    decisions.push_back(fmt::format("factors at {} places", report.plan.folds.size()));
  }
  if (report.SolvedWeights() > 0) {
    decisions.push_back(fmt::format("{} weights by gptq", report.SolvedWeights()));
  }
  if (report.TriedWeights() > 0) {
    decisions.push_back(fmt::format("what formats cost on {} weights", report.TriedWeights()));
  }
  if (decisions.empty()) return;
  fmt::print("  decides on {}{}\n", JoinNames(decisions),
             report.plan.propagates ? "; each layer runs twice, the second time as quantised" : "");
}

void PrintCalibration(const PlanReport& report) {
  const recipes::CalibrationSection& section = report.recipe.calibration;
  const calib::CalibrationBudget& budget = report.budget;
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
  PrintDecisions(report);
  fmt::print("  {} sequences a batch, {} queries a chunk", budget.batch_size, budget.query_chunk);
  if (budget.experts_per_group > 0) {
    fmt::print(", {} experts a group ({} groups a layer)", budget.experts_per_group,
               report.ExpertGroups());
  }
  fmt::print("\n  a layer without routed experts {}, a routed expert {}, a batch {}\n",
             HumanBytes(budget.dense_layer_bytes), HumanBytes(budget.expert_bytes),
             HumanBytes(budget.batch_bytes));
  fmt::print("  hidden states of all samples {}, {}\n", HumanBytes(budget.hidden_bytes),
             budget.spill_hidden       ? "in files of the run directory"
             : budget.hidden_on_device ? "in memory of the device"
                                       : "in memory");
  fmt::print("  peak host memory {}: working set {}, program, headers and heap {}\n",
             HumanBytes(budget.host_peak + budget.process_bytes), HumanBytes(budget.host_peak),
             HumanBytes(budget.process_bytes));
  fmt::print("  peak device memory {}{}\n", HumanBytes(budget.device_peak),
             report.recipe.compute.device == "cpu" ? " (part of the working set)" : "");
}

std::string GigaFlops(double flops) {
  constexpr double kFew = 1e10;
  return fmt::format("{:.{}f} GFLOP/s", flops / 1e9, flops < kFew ? 2 : 0);
}

// "computes 100 GFLOP/s in layers, 90 GFLOP/s in their routed experts, and "
std::string ComputeText(const PlanReport& report) {
  if (report.plan.observed_modules.empty()) return {};
  const calib::ComputeSpeed& speed = report.speed.compute;
  if (report.source.family->Dims().experts == 0) {
    return fmt::format("computes {} and ", GigaFlops(speed.dense_flops));
  }
  return fmt::format("computes {} in layers, {} in their routed experts, and ",
                     GigaFlops(speed.dense_flops), GigaFlops(speed.expert_flops));
}

// Of a source of which memory holds a part that is worth a word.
std::string CachedText(double share) {
  constexpr double kPercent = 100, kLeast = 0.01;
  if (share < kLeast) return {};
  return fmt::format("; {:.0f} % of the source is in the page cache", kPercent * share);
}

void PrintTime(const PlanReport& report) {
  fmt::print("\nTime, {} the machine {}moves {}/s{}\n", report.probed ? "as measured:" : "if",
             ComputeText(report), HumanBytes(static_cast<uint64_t>(report.speed.bytes_per_second)),
             CachedText(report.speed.cached_share));
  fmt::print(
      "  calibrate {}, export {}, validate {}\n", HumanDuration(report.time.calibrate_seconds),
      HumanDuration(report.time.export_seconds), HumanDuration(report.time.validate_seconds));
}

void PrintNeeds(const PlanReport& report) {
  const calib::DiskNeeds& disk = report.disk;
  fmt::print(
      "\nDisk\n  output {} in {} files, activation checkpoints {}, an unfinished layer "
      "up to {}, store about {}\n",
      HumanBytes(disk.output), report.plan.shards.size(), HumanBytes(disk.activations),
      HumanBytes(disk.layer), HumanBytes(disk.store));
  PrintTime(report);
}

void PrintReport(const PlanReport& report) {
  if (!report.recipe.shipped_as.empty()) fmt::print("{}: ", report.recipe.shipped_as);
  if (!report.recipe.description.empty()) fmt::print("{}\n", report.recipe.description);
  fmt::print("source  {} ({})\noutput  {} (dialect {})\nrun     {}\n\n",
             report.recipe.source.string(), report.source.family->model_type(),
             report.recipe.output.string(), report.recipe.dialect->name,
             report.recipe.run_dir.string());
  PrintTensors(report);
  for (const std::string& warning : report.OutputPlan().warnings) {
    fmt::print("{:<17} {}\n", "warning", warning);
  }
  PrintPasses(report);
  PrintCalibration(report);
  PrintNeeds(report);
}

}  // namespace

int RunPlan(const Arguments& arguments, const CommandContext& context) {
  const recipes::Recipe recipe = ReadRecipe(arguments, /*runs=*/false);
  const auto speed_from =
      arguments.Has("--probe") ? jobs::SpeedFrom::kProbe : jobs::SpeedFrom::kUsual;
  const jobs::ModelJobs* models =
      jobs::PlanNeedsModels(recipe, speed_from)
          ? &RequireTorch(context, "a plan that looks at " + recipe.compute.device)
          : nullptr;
  const PlanReport report = jobs::MakePlanReport(recipe, speed_from, models);
  if (arguments.Has("--json")) {
    fmt::print("{}\n", jobs::PlanJson(report).dump(2));
  } else {
    PrintReport(report);
  }
  return 0;
}

}  // namespace vernier::tools
