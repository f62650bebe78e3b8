#include "audit/stream.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "audit/byte_scan.h"
#include "audit/scale_sample.h"
#include "audit/stream_plan.h"
#include "audit/weight_comparison.h"
#include "base/bounded_pipeline.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/read_ahead.h"
#include "base/thread_count.h"

namespace vernier::audit {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::RawRows;

constexpr int kLargestQueue = 48;  // jobs read, being worked on, or waiting for their turn

struct ReadJob {
  const StreamJob* job = nullptr;
  std::vector<ReadBlock> blocks;
};

struct JobFacts {
  const StreamJob* job = nullptr;
  uint64_t bytes = 0;
  ModuleFacts facts = {};
};

bool SameBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// What the bytes of one job say. Thread-safe.
class JobScanner {
 public:
  JobScanner(const StreamPlan& plan, std::span<const ModuleScalars> scalars)
      : plan_(plan), scalars_(scalars) {}

  JobFacts Scan(const ReadJob& read) const {
    JobFacts result{.job = read.job};
    for (const ReadBlock& block : read.blocks) result.bytes += block.bytes().size();
    if (read.job->kind == StreamJobKind::kRows) {
      ScanRows(read, &result.facts);
    } else {
      ScanTensors(read, &result.facts);
    }
    return result;
  }

 private:
  const Module& ModuleOf(const StreamJob& job) const {
    return plan_.subject().index.modules[job.module];
  }

  void ScanRows(const ReadJob& read, ModuleFacts* facts) const {
    const StreamJob& job = *read.job;
    const auto main = read.blocks[0].bytes();
    const auto scale = read.blocks[1].bytes();
    ScanWeight(job, main, scale.subspan(SharedScaleBytes(job)), facts);
    const auto row = static_cast<int64_t>(job.begin);
    const auto rows = static_cast<int64_t>(job.end - job.begin);
    facts->source = Compare(job, {row, rows, main, scale, GlobalScale(job)},
                            {row, rows, read.blocks[2].bytes(), read.blocks[3].bytes()});
  }

  // The scales that rows of the job before this one have, too: that job counts them.
  size_t SharedScaleBytes(const StreamJob& job) const {
    const LogicalWeight& weight = plan_.OwnWeight(job);
    const auto row = static_cast<int64_t>(job.begin);
    if (weight.scale == kAbsent || row % weight.block_rows == 0) return 0;
    return ScaleRange(plan_.subject().checkpoint, weight, row, 1).size();
  }

  SourceFacts Compare(const StreamJob& job, const RawRows& own, RawRows source) const {
    const LogicalWeight& source_weight = plan_.SourceWeight(job);
    const checkpoint::Checkpoint& source_checkpoint = plan_.comparison()->source.checkpoint;
    try {
      source.global_scale = ReadGlobalScale(source_checkpoint, source_weight);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadWeightValue) throw;
      return {.failure = error.what()};
    }
    return CompareRows({plan_.subject().checkpoint, plan_.OwnWeight(job), own},
                       {source_checkpoint, source_weight, source},
                       plan_.comparison()->RescalingOf(ModuleOf(job).name));
  }

  float GlobalScale(const StreamJob& job) const {
    const float stored = scalars_[job.module].global_scale.value_or(1.0f);
    return plan_.OwnWeight(job).global_scale_is_divisor ? 1.0f / stored : stored;
  }

  // A weight with the scales that belong to it.
  void ScanWeight(const StreamJob& job, std::span<const std::byte> main,
                  std::span<const std::byte> scale, ModuleFacts* facts) const {
    const Subject& subject = plan_.subject();
    const Module& module = ModuleOf(job);
    facts->not_finite = CountNotFinite(subject.Info(module.weight).dtype, main);
    if (scale.empty()) return;
    facts->scales = BlocksAgree(subject, module) ? ScanBlocks(scale, main)
                                                 : ScanModuleScales(subject, module, scale);
  }

  void ScanTensors(const ReadJob& read, ModuleFacts* facts) const {
    const StreamJob& job = *read.job;
    const std::vector<size_t> tensors = plan_.Tensors(job);
    std::vector<std::span<const std::byte>> bytes;
    for (size_t block = 0; const size_t tensor : tensors) {
      bytes.push_back(read.blocks[block++].bytes());
      if (plan_.CarriedFrom(tensor) == kAbsent) continue;
      if (!SameBytes(bytes.back(), read.blocks[block++].bytes())) facts->changed.insert(tensor);
    }
    if (job.kind == StreamJobKind::kBlocks) return ScanWeight(job, bytes[0], bytes[1], facts);
    const Module& module = ModuleOf(job);
    if (job.tensor == module.weight) {
      ScanWeight(job, bytes[0], {}, facts);
    } else if (job.tensor == BlockScalesOf(plan_.subject(), module)) {
      facts->scales = ScanModuleScales(plan_.subject(), module, bytes[0]);
    }
  }

  const StreamPlan& plan_;
  std::span<const ModuleScalars> scalars_;
};

// Puts the facts of a module's jobs together.
class FactCollector {
 public:
  FactCollector(KnownFacts known, const OnModule& on_module)
      : missing_jobs_(known.size()), on_module_(on_module) {
    for (std::optional<ModuleFacts>& facts : known) {
      facts_.push_back(facts ? *std::move(facts) : ModuleFacts());
    }
  }

  void Expect(const StreamJob& job) { ++missing_jobs_[job.module]; }

  // In the order of jobs.
  void Add(const JobFacts& result) {
    const size_t module = result.job->module;
    ModuleFacts& facts = facts_[module];
    facts.Merge(result.facts);
    if (--missing_jobs_[module] > 0) return;
    if (facts.source) facts.source->Finish();
    on_module_(module, facts);
  }

  std::vector<ModuleFacts> Take() { return std::move(facts_); }

 private:
  std::vector<ModuleFacts> facts_;
  std::vector<size_t> missing_jobs_;
  const OnModule& on_module_;
};

uint64_t BytesOf(const ReadAhead::Job& reads) {
  uint64_t bytes = 0;
  for (const FileRange& range : reads) bytes += range.end - range.begin;
  return bytes;
}

std::vector<StreamJob> JobsToDo(const StreamPlan& plan, const KnownFacts& known) {
  std::vector<StreamJob> jobs = plan.Jobs();
  std::erase_if(jobs, [&](const StreamJob& job) { return known[job.module].has_value(); });
  return jobs;
}

}  // namespace

std::vector<ModuleFacts> StreamFacts(const Subject& subject, const Comparison* comparison,
                                     std::span<const ModuleScalars> scalars, KnownFacts known,
                                     const OnModule& on_module, uint64_t window_bytes,
                                     ReadMeter* meter) {
  const StreamPlan plan(subject, comparison);
  const std::vector<StreamJob> jobs = JobsToDo(plan, known);
  FactCollector collector(std::move(known), on_module);
  for (const StreamJob& job : jobs) {
    collector.Expect(job);
    meter->Expect(BytesOf(plan.Reads(job)));
  }
  ReadAhead reader(
      plan.Files(),
      [&plan, it = jobs.begin(), end = jobs.end()]() mutable {
        return it == end ? std::nullopt : std::optional(plan.Reads(*it++));
      },
      window_bytes, BufferPool::Make(window_bytes / 2), IoOptionsFromEnvironment());
  const JobScanner scanner(plan, scalars);
  const int threads = ThreadCount();
  RunBounded(
      threads, std::min(2 * threads, std::max(threads, kLargestQueue)),
      [&, it = jobs.begin()]() mutable -> std::optional<ReadJob> {
        ThrowIfInterrupted();
        std::optional<std::vector<ReadBlock>> blocks = reader.Next();
        if (!blocks) return std::nullopt;
        return ReadJob{&*it++, *std::move(blocks)};
      },
      [&scanner](const ReadJob& read) { return scanner.Scan(read); },
      [&](const JobFacts& result) {
        collector.Add(result);
        meter->Add(result.bytes);
      });
  return collector.Take();
}

}  // namespace vernier::audit
