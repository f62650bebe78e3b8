#include "export/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "export/copied_files.h"
#include "export/directory_lock.h"
#include "export/error_weights.h"
#include "export/folds.h"
#include "export/manifest.h"
#include "export/output_directory.h"
#include "export/quant_config.h"
#include "export/shard_hash.h"
#include "export/shard_writer.h"
#include "export/solved_weights.h"
#include "export/weight_scales.h"
#include "recipes/plan_shards.h"
#include "run/export_record.h"
#include "run/source_ledger.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kVersion = VERNIER_VERSION;

// Room for config files, index and manifest, whose length goes with the number of tensors.
constexpr uint64_t kJsonReserve = 1 << 20;
constexpr uint64_t kJsonBytesPerTensor = 1 << 10;

using Files = std::vector<checkpoint::PlannedFile>;  // of a plan

checkpoint::FileFrame FrameOf(const ExportRequest& request, const Files& files,
                              const recipes::OutputShard& shard) {
  const auto index = static_cast<size_t>(&shard - request.plan.shards.data());
  return request.plan.container->Frame(request.source, files, index);
}

// Everything that the shards' bytes depend on, but for the source's weights.
std::string PlanHash(const ExportRequest& request, const Files& files,
                     const std::vector<InputScale>& input_scales,
                     const std::vector<KvScale>& kv_scales, const std::string& decides) {
  Hasher hasher;
  hasher.Update(
      fmt::format("{}\n{}\n{}\n", kVersion, request.source.checkpoint.fingerprint(), decides));
  for (const recipes::OutputShard& shard : request.plan.shards) {
    const checkpoint::FileFrame frame = FrameOf(request, files, shard);
    hasher.Update(fmt::format("{} {}\n", shard.file_name, shard.file_bytes));
    hasher.Update(frame.head);
    hasher.Update(frame.tail);
  }
  for (size_t i = 0; i < input_scales.size(); ++i) {
    hasher.Update(fmt::format("{} {:08x}\n", static_cast<int>(request.plan.scale_groups[i].scale),
                              std::bit_cast<uint32_t>(input_scales[i].scale)));
  }
  for (const KvScale& scale : kv_scales) {
    hasher.Update(fmt::format("kv {:08x}\n", std::bit_cast<uint32_t>(scale.scale)));
  }
  if (request.recipe.non_finite == recipes::NonFinite::kClamp) hasher.Update("clamp\n");
  return hasher.Hex();
}

std::vector<size_t> AllShards(const recipes::Plan& plan) {
  std::vector<size_t> shards(plan.shards.size());
  std::iota(shards.begin(), shards.end(), size_t{0});
  return shards;
}

void RequireCalibration(const ExportRequest& request) {
  if (request.plan.observed_modules.empty() || request.store.CalibrationFinished()) return;
  throw Error(ErrorCode::kNotCalibrated, request.store.run_dir().string(),
              "its calibration is not finished",
              "Finish it with `vernier calibrate`; it goes on where it stopped");
}

// One export of a finished calibration, step by step.
class ExportJob {
 public:
  explicit ExportJob(const ExportRequest& request)
      : request_(request),
        files_(recipes::PlannedFiles(request.plan)),
        output_(fs::weakly_canonical(fs::absolute(request.output))),
        error_weights_(request.recipe, request.source.layout, request.plan, request.store),
        solved_(request.source.layout, request.plan, request.store),
        folds_(request.source.layout, request.plan, request.store),
        ledger_(request.store, request.source.checkpoint),
        weight_scales_(request.plan.scale_groups.size()) {}

  ExportSummary Run() {
    summary_.weighted_weights = error_weights_.CountUses(request_.source.layout, request_.plan);
    input_scales_ = ResolveInputScales(request_.source.layout, request_.plan, request_.recipe,
                                       folds_.Fold(request_.inputs));
    kv_scales_ = ResolveKvScales(request_.plan, request_.inputs);
    const std::string plan_hash = PlanHash(request_, files_, input_scales_, kv_scales_,
                                           error_weights_.hash() + solved_.hash() + folds_.hash());
    summary_.output = output_;
    summary_.plan_hash = plan_hash;
    const std::vector<run::ShardRecord> records = request_.store.FinishedShards(plan_hash);
    CreateOutputDirectory(output_, request_.source.checkpoint.directory());
    const DirectoryLock lock(output_);
    ClaimOutputDirectory(output_, plan_hash);
    run::BeginExport(request_.store.database(),
                     {.plan_hash = plan_hash,
                      .output = output_.string(),
                      .shards = static_cast<int64_t>(request_.plan.shards.size()),
                      .bytes = request_.plan.OutputFileBytes()});
    const uint64_t scale_bytes = ScaleBytes(AllShards(request_.plan));
    request_.progress.BeginPhase(
        kExportPhase, static_cast<double>(scale_bytes + request_.plan.OutputFileBytes()));
    VerifyFinished(records);
    const std::vector<std::string> copied = CopiedFiles();
    RequireSpace(copied);
    ResolveScales(scale_bytes);
    for (const recipes::OutputShard& shard : request_.plan.shards) {
      request_.progress.ThrowIfStopped();
      FinishShard(shard);
    }
    WriteOtherFiles(copied);
    run::FinishExport(request_.store.database(), plan_hash);
    Summarise();
    request_.progress.EndPhase();
    return std::move(summary_);
  }

 private:
  OnBytes Report(std::string detail) const {
    return [this, detail = std::move(detail)](uint64_t bytes) {
      request_.progress.Advance(static_cast<double>(bytes), detail);
    };
  }

  std::vector<std::string> CopiedFiles() const {
    if (request_.plan.container->holds_all()) return {};
    return ListCopiedFiles(request_.source.checkpoint.directory(), *request_.plan.container);
  }

  uint64_t ScaleBytes(const std::vector<size_t>& shards) const {
    return WeightScaleBytes(
        request_.source, request_.plan,
        GroupsToResolve(request_.source, request_.plan, shards, request_.settings.limits));
  }

  // The scales that unfinished shards need beforehand. `expected_bytes` were announced.
  void ResolveScales(uint64_t expected_bytes) {
    std::vector<size_t> unfinished;
    for (const size_t shard : AllShards(request_.plan)) {
      if (!finished_.contains(request_.plan.shards[shard].file_name)) unfinished.push_back(shard);
    }
    const OnBytes report = [this, advance = Report("weight scales")](uint64_t bytes) {
      advance(bytes);
      request_.progress.ThrowIfStopped();  // nothing of them is durable
    };
    report(expected_bytes - ScaleBytes(unfinished));
    ResolveWeightScales(
        request_.source, request_.plan,
        GroupsToResolve(request_.source, request_.plan, unfinished, request_.settings.limits),
        folds_, ReadOptions(), request_.settings, report, weight_scales_);
  }

  checkpoint::ReadOptions ReadOptions() {
    return {.observer = &ledger_,
            .clamp = request_.recipe.non_finite == recipes::NonFinite::kClamp};
  }

  // Keeps the records of those shards that are still what they were when they were finished.
  void VerifyFinished(const std::vector<run::ShardRecord>& records) {
    for (const run::ShardRecord& record : records) {
      const auto shard = std::ranges::find(request_.plan.shards, record.file_name,
                                           &recipes::OutputShard::file_name);
      if (shard == request_.plan.shards.end()) continue;
      request_.progress.ThrowIfStopped();
      const std::string hash =
          HashShardFile(*shard, FrameOf(request_, files_, *shard), output_ / record.file_name,
                        request_.settings, Report("verifying " + record.file_name));
      if (hash != record.hash) continue;
      for (const size_t source : SourceShards(*shard)) ledger_.RequireUnchanged(source);
      ReadBackScales(request_.plan, *shard, output_, weight_scales_);
      finished_.emplace(record.file_name, record);
    }
    summary_.shards_reused = static_cast<int64_t>(finished_.size());
  }

  // The source's shards that an output shard was made from.
  std::set<size_t> SourceShards(const recipes::OutputShard& shard) const {
    const checkpoint::Checkpoint& source = request_.source.checkpoint;
    std::set<size_t> shards;
    for (const recipes::OutputTensor& tensor : shard.tensors) {
      if (tensor.part == recipes::OutputPart::kSourceBytes) {
        shards.insert(source.tensor(tensor.source_tensor).shard);
        continue;
      }
      if (tensor.part == recipes::OutputPart::kKvScale) continue;
      for (const size_t part : request_.source.layout.weights[tensor.weight].Parts()) {
        shards.insert(source.tensor(part).shard);
      }
    }
    return shards;
  }

  void RequireSpace(const std::vector<std::string>& copied) const {
    const checkpoint::Checkpoint& source = request_.source.checkpoint;
    uint64_t bytes = kJsonReserve + kJsonBytesPerTensor * source.tensors().size() +
                     TotalFileBytes(source.directory(), copied);
    for (const recipes::OutputShard& shard : request_.plan.shards) {
      if (finished_.contains(shard.file_name)) continue;
      const fs::path partial = PartialPath(output_ / shard.file_name);
      const uint64_t reserved = fs::exists(partial) ? fs::file_size(partial) : 0;
      bytes += shard.file_bytes - std::min(shard.file_bytes, reserved);
    }
    RequireFreeSpace(output_, bytes, "the output");
  }

  ShardInputs ShardInputsOf() {
    return {.source = request_.source,
            .plan = request_.plan,
            .input_scales = input_scales_,
            .kv_scales = kv_scales_,
            .error_weights = error_weights_,
            .solved = solved_,
            .folds = folds_,
            .read = ReadOptions(),
            .settings = request_.settings,
            .pool = pool_};
  }

  void FinishShard(const recipes::OutputShard& shard) {
    const size_t number = static_cast<size_t>(&shard - request_.plan.shards.data()) + 1;
    auto it = finished_.find(shard.file_name);
    if (it == finished_.end()) {
      const std::string detail = fmt::format("shard {}/{}", number, request_.plan.shards.size());
      const run::ShardRecord record =
          WriteShard(ShardInputsOf(), shard, FrameOf(request_, files_, shard), output_,
                     Report(detail), weight_scales_);
      ledger_.Commit();
      request_.store.CommitShard(summary_.plan_hash, record);
      it = finished_.emplace(shard.file_name, record).first;
      ++summary_.shards_written;
    }
    const run::ShardRecord& record = it->second;
    written_.push_back({record.file_name, record.bytes, record.hash, HashKind::kOfTensors});
    summary_.cast.Merge({.blocks = record.cast_blocks,
                         .requantised = record.cast_requantised,
                         .inexact = record.cast_inexact});
  }

  // The source tensors of converted weights that had values to clamp.
  std::vector<checkpoint::ClampedElements> ClampedOfConverted() const {
    if (request_.recipe.non_finite != recipes::NonFinite::kClamp) return {};
    std::set<size_t> converted;
    for (size_t i = 0; i < request_.plan.weights.size(); ++i) {
      if (request_.plan.weights[i].format == recipes::kKeep) continue;
      const checkpoint::LogicalWeight& weight = request_.source.layout.weights[i];
      converted.insert({weight.main, weight.scale});
    }
    std::vector<checkpoint::ClampedElements> clamped = ledger_.Clamped();
    std::erase_if(clamped,
                  [&](const auto& elements) { return !converted.contains(elements.tensor); });
    return clamped;
  }

  void WriteText(std::string_view name, const std::string& text) {
    WriteFileAtomically(output_ / name, text);
    written_.push_back({std::string(name), text.size(), HashHex(text)});
  }

  OutputConfigs WriteConfigs() {
    if (request_.plan.container->holds_all()) return {};
    OutputConfigs configs = MakeOutputConfigs(request_.source, request_.plan, kVersion);
    if (!configs.hf_quant_config.is_null()) {
      WriteText(kHfQuantConfigFileName, configs.hf_quant_config.dump(2) + "\n");
    }
    WriteText(kConfigFileName, configs.config.dump(2) + "\n");
    return configs;
  }

  void WriteOtherFiles(const std::vector<std::string>& copied) {
    const std::vector<OutputFile> copies =
        CopyFiles(request_.source.checkpoint.directory(), output_, copied);
    summary_.copied_files = static_cast<int64_t>(copies.size());
    const OutputConfigs configs = WriteConfigs();
    for (const checkpoint::IndexFile& index : request_.plan.container->IndexFiles(files_)) {
      WriteText(index.name, index.text);
    }
    if (folds_.CountUsed() > 0) WriteText(checkpoint::kFoldsFileName, folds_.Bytes());

    const std::vector<checkpoint::ClampedElements> clamped = ClampedOfConverted();
    summary_.clamped_tensors = static_cast<int64_t>(clamped.size());
    for (const auto& elements : clamped) summary_.clamped_elements += elements.count;
    const TensorCounts counts = WriteManifest(output_, {.source = request_.source,
                                                        .plan = request_.plan,
                                                        .recipe = request_.recipe,
                                                        .plan_hash = summary_.plan_hash,
                                                        .version = std::string(kVersion),
                                                        .weight_scales = weight_scales_,
                                                        .input_scales = input_scales_,
                                                        .kv_scales = kv_scales_,
                                                        .config_patches = configs.patches,
                                                        .error_weights = error_weights_,
                                                        .solved = solved_,
                                                        .folds = folds_,
                                                        .cast = summary_.cast,
                                                        .clamped = clamped,
                                                        .written = written_,
                                                        .copied = copies});
    summary_.carried_tensors = counts.carried;
    summary_.converted_tensors = counts.converted;
    summary_.dropped_tensors = counts.dropped;
  }

  void Summarise() {
    summary_.kv_scales = kv_scales_;
    summary_.searched_weights = std::ranges::count_if(request_.plan.weights, IsSearchedByError);
    summary_.gptq_weights = std::ranges::count(request_.plan.weights, recipes::ScaleMethod::kGptq,
                                               &recipes::WeightPlan::scale);
    summary_.solved_weights = solved_.size();
    summary_.folds = static_cast<int64_t>(request_.plan.folds.size());
    summary_.folds_used = folds_.CountUsed();
    summary_.blended = error_weights_.Blended();
    summary_.source_tensor_bytes = request_.source.checkpoint.TensorBytes();
    summary_.output_tensor_bytes = request_.plan.tensor_bytes;
    for (const recipes::OutputShard& shard : request_.plan.shards) {
      summary_.output_tensors += static_cast<int64_t>(shard.tensors.size());
    }
    for (size_t i = 0; i < input_scales_.size(); ++i) {
      const InputScale& input = input_scales_[i];
      if (input.origin == AmaxOrigin::kObserved || input.origin == AmaxOrigin::kConstant) continue;
      summary_.fallbacks.push_back({request_.plan.scale_groups[i].name, input.origin, input.amax});
    }
  }

  const ExportRequest& request_;
  Files files_;
  fs::path output_;
  ErrorWeights error_weights_;
  SolvedWeights solved_;
  Folds folds_;
  run::SourceLedger ledger_;
  std::shared_ptr<BufferPool> pool_ = BufferPool::Make(request_.settings.limits.spare_bytes);
  std::vector<WeightScale> weight_scales_;
  std::vector<InputScale> input_scales_;
  std::vector<KvScale> kv_scales_;
  std::map<std::string, run::ShardRecord> finished_;
  std::vector<OutputFile> written_;  // in the order of writing
  ExportSummary summary_;
};

}  // namespace

ExportSummary Export(const ExportRequest& request) {
  RequireCalibration(request);
  return ExportJob(request).Run();
}

}  // namespace vernier::exporter
