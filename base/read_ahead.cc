#include "base/read_ahead.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/io_queue.h"

namespace vernier {
class ReadAhead::Impl {
 public:
  Impl(std::vector<std::filesystem::path> files, std::function<std::optional<Job>()> next_job,
       uint64_t window_bytes, std::shared_ptr<BufferPool> pool, const IoOptions& options)
      : paths_(std::move(files)),
        next_job_(std::move(next_job)),
        window_bytes_(window_bytes),
        pool_(std::move(pool)),
        options_(options),
        queue_(MakeIoQueue(options.depth, options.backend)) {}

  ~Impl() {
    // The kernel may still write into the buffers.
    for (size_t i = under_way_.size(); i > 0; --i) queue_->Wait();
  }

  std::optional<std::vector<ReadBlock>> Next() {
    ReadOn();
    if (jobs_.empty()) return std::nullopt;
    while (jobs_.front()->missing_requests > 0) {
      Complete(queue_->Wait());
      SubmitRequests();
    }
    const std::unique_ptr<PendingJob> job = std::move(jobs_.front());
    jobs_.pop_front();
    window_used_ -= job->bytes;
    ReadOn();  // while the caller works on this job

    std::vector<ReadBlock> blocks;
    for (PendingRange& range : job->ranges) {
      blocks.emplace_back(std::move(range.memory), range.begin - range.aligned_begin,
                          range.end - range.begin);
    }
    return blocks;
  }

 private:
  struct PendingRange {
    size_t file = 0;
    uint64_t aligned_begin = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
    PooledBuffer memory;  // holds [aligned_begin, AlignUp(end))
  };

  struct PendingJob {
    std::vector<PendingRange> ranges;
    uint64_t bytes = 0;
    size_t missing_requests = 0;
  };

  struct PendingRequest {
    PendingJob* job = nullptr;
    PendingRange* range = nullptr;
    uint64_t offset = 0;  // in the file
    uint64_t bytes = 0;
  };

  void ReadOn() {
    TakeJobs();
    SubmitRequests();
  }

  const File& OpenFile(size_t index) {
    const auto found = files_.find(index);
    if (found != files_.end()) return found->second;
    const FileAccess access = options_.direct ? FileAccess::kDirect : FileAccess::kBuffered;
    return files_.emplace(index, File::OpenForRead(paths_[index], access)).first->second;
  }

  void TakeJobs() {
    while (!exhausted_ && (jobs_.empty() || window_used_ < window_bytes_)) {
      const std::optional<Job> job = next_job_();
      exhausted_ = !job.has_value();
      if (job) Enqueue(*job);
    }
  }

  void Enqueue(const Job& job) {
    auto pending = std::make_unique<PendingJob>();
    pending->ranges.reserve(job.size());  // requests point into it
    for (const FileRange& range : job) {
      const uint64_t aligned_begin = AlignDown(range.begin);
      const uint64_t bytes = range.begin == range.end ? 0 : AlignUp(range.end) - aligned_begin;
      pending->ranges.push_back(
          {range.file, aligned_begin, range.begin, range.end, pool_->Take(bytes)});
      pending->bytes += bytes;
      for (uint64_t done = 0; done < bytes; done += options_.request_bytes) {
        unsubmitted_.push_back({pending.get(), &pending->ranges.back(), aligned_begin + done,
                                std::min(options_.request_bytes, bytes - done)});
        ++pending->missing_requests;
      }
    }
    window_used_ += pending->bytes;
    jobs_.push_back(std::move(pending));
  }

  void SubmitRequests() {
    while (!unsubmitted_.empty() && under_way_.size() < options_.depth) {
      const PendingRequest request = unsubmitted_.front();
      const int descriptor = OpenFile(request.range->file).descriptor();
      unsubmitted_.pop_front();
      const uint64_t tag = next_tag_++;
      queue_->Submit(
          {.kind = IoRequest::Kind::kRead,
           .fd = descriptor,
           .data = request.range->memory.data() + (request.offset - request.range->aligned_begin),
           .bytes = static_cast<size_t>(request.bytes),
           .offset = request.offset,
           .tag = tag});
      under_way_.emplace(tag, request);
    }
  }

  void Complete(const IoCompletion& completion) {
    const auto found = under_way_.find(completion.tag);
    PendingRequest request = found->second;
    under_way_.erase(found);
    const File& file = OpenFile(request.range->file);
    if (completion.result < 0) {
      throw Error(ErrorCode::kFileRead, file.path().string(),
                  std::strerror(static_cast<int>(-completion.result)), "Check the disk");
    }
    const auto moved = static_cast<uint64_t>(completion.result);
    // A request goes on to the end of a block, where the file may have ended already.
    const uint64_t wanted = std::min(request.offset + request.bytes, request.range->end);
    if (request.offset + moved >= wanted) {
      --request.job->missing_requests;
      return;
    }
    // Direct I/O moves whole blocks but for a file's last one.
    if (moved == 0 || (file.direct() && moved % kIoAlignment != 0)) {
      ThrowFileTooShort(file.path(), request.offset + moved, wanted);
    }
    request.offset += moved;
    request.bytes -= moved;
    unsubmitted_.push_front(request);
  }

  std::vector<std::filesystem::path> paths_;
  std::unordered_map<size_t, File> files_;
  std::function<std::optional<Job>()> next_job_;
  uint64_t window_bytes_;
  std::shared_ptr<BufferPool> pool_;
  IoOptions options_;
  std::unique_ptr<IoQueue> queue_;

  bool exhausted_ = false;
  uint64_t window_used_ = 0;                                // bytes of all jobs_
  std::deque<std::unique_ptr<PendingJob>> jobs_;            // in order
  std::deque<PendingRequest> unsubmitted_;                  // in order
  std::unordered_map<uint64_t, PendingRequest> under_way_;  // by tag
  uint64_t next_tag_ = 0;
};

ReadAhead::ReadAhead(std::vector<std::filesystem::path> files,
                     std::function<std::optional<Job>()> next_job, uint64_t window_bytes,
                     std::shared_ptr<BufferPool> pool, const IoOptions& options)
    : impl_(std::make_unique<Impl>(std::move(files), std::move(next_job), window_bytes,
                                   std::move(pool), options)) {}

ReadAhead::~ReadAhead() = default;

std::optional<std::vector<ReadBlock>> ReadAhead::Next() { return impl_->Next(); }

}  // namespace vernier
