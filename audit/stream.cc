#include "audit/stream.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "audit/job_scanner.h"
#include "audit/stream_plan.h"
#include "base/bounded_pipeline.h"
#include "base/interrupt.h"
#include "base/read_ahead.h"
#include "base/thread_count.h"

namespace vernier::audit {
namespace {

constexpr int kLargestQueue = 48;
constexpr uint64_t kLargeJob = 4 * kStreamJobBytes;

// Puts the facts of a module's jobs together.
class FactCollector {
 public:
  FactCollector(KnownFacts known, const OnModule& on_module)
      : missing_jobs_(known.size()), on_module_(on_module) {
    for (std::optional<ModuleFacts>& facts : known) {
      facts_.push_back(facts ? *std::move(facts) : ModuleFacts());
      is_known_.push_back(facts.has_value());
    }
  }

  void Expect(std::span<const size_t> modules) {
    for (const size_t module : modules) ++missing_jobs_[module];
  }

  // Of a job about `modules`, in the order of jobs.
  void Add(const JobFacts& result, std::span<const size_t> modules) {
    for (const auto& [module, facts] : result.modules) {
      if (!is_known_[module]) facts_[module].Merge(facts);
    }
    for (const size_t module : modules) {
      if (--missing_jobs_[module] == 0 && !is_known_[module]) Finish(module);
    }
  }

  std::vector<ModuleFacts> Take() { return std::move(facts_); }

 private:
  void Finish(size_t module) {
    ModuleFacts& facts = facts_[module];
    if (facts.source) facts.source->Finish();
    on_module_(module, facts);
  }

  std::vector<ModuleFacts> facts_;
  std::vector<bool> is_known_;  // before
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
  std::erase_if(jobs, [&](const StreamJob& job) {
    return std::ranges::all_of(plan.Modules(job),
                               [&](size_t module) { return known[module].has_value(); });
  });
  return jobs;
}

// Jobs that are read, being worked on, or waiting for their turn: fewer where one is an expert's
// slab, so that they take as much memory, or one.
int QueueOf(int threads, uint64_t largest_job) {
  const int jobs = std::min(2 * threads, std::max(threads, kLargestQueue));
  if (largest_job <= kLargeJob) return jobs;
  const uint64_t fitting = static_cast<uint64_t>(jobs) * kStreamJobBytes / largest_job;
  return static_cast<int>(std::max<uint64_t>(1, fitting));
}

}  // namespace

std::vector<ModuleFacts> StreamFacts(const Subject& subject, const Comparison* comparison,
                                     std::span<const ModuleScalars> scalars, KnownFacts known,
                                     const OnModule& on_module, uint64_t window_bytes,
                                     ReadMeter* meter) {
  const StreamPlan plan(subject, comparison);
  const std::vector<StreamJob> jobs = JobsToDo(plan, known);
  FactCollector collector(std::move(known), on_module);
  uint64_t largest = 0;
  for (const StreamJob& job : jobs) {
    const uint64_t bytes = BytesOf(plan.Reads(job));
    largest = std::max(largest, bytes);
    collector.Expect(plan.Modules(job));
    meter->Expect(bytes);
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
      threads, QueueOf(threads, largest),
      [&, it = jobs.begin()]() mutable -> std::optional<ReadJob> {
        ThrowIfInterrupted();
        std::optional<std::vector<ReadBlock>> blocks = reader.Next();
        if (!blocks) return std::nullopt;
        return ReadJob{&*it++, *std::move(blocks)};
      },
      [&scanner](const ReadJob& read) { return scanner.Scan(read); },
      [&](const JobFacts& result) {
        collector.Add(result, plan.Modules(*result.job));
        meter->Add(result.bytes);
      });
  return collector.Take();
}

}  // namespace vernier::audit
