#include "tools/run_summary.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/report_text.h"
#include "base/text.h"
#include "export/calibrated_importance.h"
#include "tools/budget_text.h"
#include "tools/eval_text.h"

namespace vernier::tools {
namespace {

constexpr size_t kFallbacksShown = 5;

// Peak resident memory of this process so far, in bytes.
uint64_t PeakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// Of one that is not the CPU.
void PrintDevice(const jobs::CalibrationOutcome& calibration) {
  if (!calibration.device_peak) return;
  fmt::print("device       {} of memory at most, of {}", HumanBytes(*calibration.device_peak),
             HumanBytes(calibration.device_limit));
  if (calibration.ran_out > 0) {
    fmt::print(" (others took some: begun anew {} times)", calibration.ran_out);
  }
  fmt::print("\n");
}

void PrintCalibration(const jobs::CalibrationSummary& summary) {
  const jobs::CalibrationOutcome& calibration = summary.outcome;
  fmt::print("calibration  {} samples, {} tokens through {} layers", calibration.samples,
             HumanCount(static_cast<uint64_t>(calibration.tokens)), calibration.layers);
  if (calibration.resumed_at_layer == calibration.layers) {
    fmt::print(" (finished by an earlier run)");
  } else if (calibration.resumed_at_layer > 0) {
    fmt::print(" (resumed at layer {})", calibration.resumed_at_layer);
  }
  fmt::print("\n");
  PrintDevice(calibration);
  const std::vector<run::NonFiniteRecord>& clamped = summary.clamped;
  if (clamped.empty()) return;
  fmt::print("clamped      activations of {} modules, the first: {} in {}, sample {}\n",
             clamped.size(), clamped.front().value, clamped.front().module, clamped.front().sample);
}

void PrintTimings(const std::vector<StageTime>& stages) {
  for (const StageTime& stage : stages) {
    fmt::print("timing       {:<32} {:>9.3f} s, {} times\n", stage.stage, stage.seconds,
               stage.times);
  }
}

void PrintFallbacks(const exporter::ExportSummary& done, int64_t scale_groups) {
  fmt::print("fallbacks    {} of {} scale groups saw no token\n", done.fallbacks.size(),
             scale_groups);
  for (size_t i = 0; i < std::min(kFallbacksShown, done.fallbacks.size()); ++i) {
    const exporter::FallbackScale& fallback = done.fallbacks[i];
    fmt::print("             {}: amax {:g} from its {}\n", fallback.group, fallback.amax,
               exporter::AmaxOriginName(fallback.from));
  }
  if (done.fallbacks.size() > kFallbacksShown) {
    fmt::print("             ... all are listed in vernier_manifest.json\n");
  }
}

void PrintKvCache(const exporter::ExportSummary& done, recipes::KvCache kv_cache) {
  if (kv_cache == recipes::KvCache::kNone) return;
  const std::string_view name = recipes::KvCacheName(kv_cache);
  if (!recipes::IsCalibrated(kv_cache)) {
    fmt::print("KV cache     {}: all scales 1\n", name);
    return;
  }
  const auto [smallest, largest] =
      std::ranges::minmax(done.kv_scales, {}, &exporter::KvScale::scale);
  fmt::print("KV cache     {}: scales of {} caches, {:g} to {:g}\n", name, done.kv_scales.size(),
             smallest.scale, largest.scale);
  const auto large = std::ranges::count_if(done.kv_scales, [](const exporter::KvScale& scale) {
    return scale.scale > exporter::kLargeKvScale;
  });
  if (large > 0) {
    fmt::print(
        "             {} of them above {:g}: FP8 is coarse for such keys or values; "
        "compare outputs with --kv-cache none\n",
        large, exporter::kLargeKvScale);
  }
}

void PrintExport(const jobs::ExportOutcome& exported) {
  const exporter::ExportSummary& done = exported.done;
  if (!exported.left_out.empty()) {
    fmt::print("left out     {}, which engines do not read with the rest\n",
               JoinNames(exported.left_out));
  }
  fmt::print("tensors      {} in ({} carried, {} converted, {} dropped), {} out\n",
             HumanCount(static_cast<uint64_t>(exported.source_tensors)),
             HumanCount(static_cast<uint64_t>(done.carried_tensors)),
             HumanCount(static_cast<uint64_t>(done.converted_tensors)),
             HumanCount(static_cast<uint64_t>(done.dropped_tensors)),
             HumanCount(static_cast<uint64_t>(done.output_tensors)));
  fmt::print("bytes        {} in, {} out, {} shards ({} finished earlier)\n",
             HumanBytes(done.source_tensor_bytes), HumanBytes(done.output_tensor_bytes),
             done.shards_written + done.shards_reused, done.shards_reused);
  if (done.cast.blocks > 0 && done.output_tensor_bytes > done.source_tensor_bytes) {
    fmt::print(
        "             (NVFP4 has one scale per 16 values, MXFP4 one per 32: the result is "
        "larger, and faster to serve)\n");
  }
  if (done.cast.blocks > 0) {
    fmt::print("cast         {} MXFP4 blocks, {} re-encoded, {} inexact\n",
               HumanCount(static_cast<uint64_t>(done.cast.blocks)),
               HumanCount(static_cast<uint64_t>(done.cast.requantised)),
               HumanCount(static_cast<uint64_t>(done.cast.inexact)));
  }
  if (done.searched_weights > 0) {
    fmt::print("importance   {} of {} searched weights have a vector\n", done.weighted_weights,
               done.searched_weights);
  }
  if (done.gptq_weights > 0) {
    fmt::print("gptq         {} of {} weights, the others by local_hessian\n", done.solved_weights,
               done.gptq_weights);
  }
  if (exported.budget) PrintBudget(*exported.budget);
  if (done.folds > 0) {
    fmt::print("smooth       {} of {} factors per channel moved into weights\n", done.folds_used,
               done.folds);
  }
  if (!done.blended.empty()) {
    fmt::print(
        "             {} of experts with fewer than {} tokens, blended with their layer's, listed "
        "in vernier_manifest.json\n",
        done.blended.size(), exporter::kFewTokens);
  }
  if (done.clamped_elements > 0) {
    fmt::print("clamped      {} NaN or infinite elements of {} source tensors, listed in {}\n",
               HumanCount(static_cast<uint64_t>(done.clamped_elements)), done.clamped_tensors,
               "vernier_manifest.json");
  }
  PrintKvCache(done, exported.kv_cache);
  if (exported.calibrated_inputs) PrintFallbacks(done, exported.scale_groups);
}

// "export 3.4s (forecast 1.2s), busy: processors 40 %, disk 88 %"
std::string PhaseText(const jobs::PhaseOutcome& phase) {
  const auto& [time, use] = phase;
  std::string text = fmt::format("{} {}", time.name, HumanDuration(time.seconds));
  if (time.expected_seconds > 0) {
    text += fmt::format(" (forecast {})", HumanDuration(time.expected_seconds));
  }
  return use ? text + ", busy: " + BusyText(*use) : text;
}

void PrintLayout(const jobs::LayoutOutcome& written) {
  const auto& [layout, pack] = written;
  fmt::print("layout       {}: {} files", exporter::KernelLayoutName(layout), pack.files);
  if (pack.fold.scales > 0) {
    fmt::print(", {} scales folded, {} rounded, {} of them to zero",
               HumanCount(static_cast<uint64_t>(pack.fold.scales)),
               HumanCount(static_cast<uint64_t>(pack.fold.inexact)),
               HumanCount(static_cast<uint64_t>(pack.fold.vanished)));
  }
  fmt::print("\n");
}

// GGUF files, which have no config.json beside them, are no audit's to read.
std::string CheckCommand(const jobs::PipelineSummary& summary) {
  if (!std::filesystem::exists(summary.output / "config.json")) {
    return "the same command: it compares every byte with the hashes of this run";
  }
  return fmt::format("vernier validate {} --source {}", summary.output.string(),
                     summary.source.string());
}

void PrintRunSummary(const jobs::PipelineSummary& summary, bool timings) {
  fmt::print("\n");
  if (summary.calibration) PrintCalibration(*summary.calibration);
  if (summary.calibration && timings) PrintTimings(summary.calibration->outcome.stages);
  if (summary.exported) PrintExport(*summary.exported);
  if (summary.audit) fmt::print("{}", audit::ReportText(*summary.audit));

  std::string_view heading = "time";
  for (const jobs::PhaseOutcome& phase : summary.phases) {
    fmt::print("{:<12} {}\n", std::exchange(heading, ""), PhaseText(phase));
  }
  fmt::print("peak memory  {}\n", HumanBytes(PeakResidentBytes()));
  fmt::print("state        {}\n", summary.run_dir.string());
  if (summary.exported) {
    fmt::print("output       {}, described in its README.md\n", summary.output.string());
    fmt::print("check again  {}\n", CheckCommand(summary));
  }
  for (const jobs::LayoutOutcome& written : summary.layouts) PrintLayout(written);
  if (summary.evaluation) fmt::print("\n{}", EvalText(*summary.evaluation));
}

}  // namespace

void FinishPipeline(const jobs::PipelineSummary& summary, bool timings) {
  PrintRunSummary(summary, timings);
  if (!summary.Clean()) throw jobs::AuditFailed(summary.output);
}

}  // namespace vernier::tools
