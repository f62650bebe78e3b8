#include "base/direct_output.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vernier {
namespace {

void Copy(std::byte* to, std::span<const std::byte> from) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

}  // namespace

DirectOutput::DirectOutput(const std::filesystem::path& path, uint64_t size,
                           const IoOptions& options)
    : file_(File::OpenForWrite(path, /*truncate=*/true,
                               options.direct ? FileAccess::kDirect : FileAccess::kBuffered)),
      size_(size),
      options_(options),
      queue_(MakeIoQueue(options.depth, options.backend)) {
  file_.Preallocate(size);
}

DirectOutput::~DirectOutput() {
  // The kernel may still read from the buffers.
  for (size_t i = under_way_.size(); i > 0; --i) queue_->Wait();
}

void DirectOutput::Write(uint64_t offset, std::span<const std::byte> bytes) {
  assert(offset + bytes.size() <= size_);
  const uint64_t end = offset + bytes.size();
  const uint64_t first_whole = AlignUp(offset);
  const uint64_t last_whole = AlignDown(end);
  if (first_whole >= last_whole) {  // no whole block; at most two shared ones
    const uint64_t split = std::min(first_whole, end);
    FillShared(offset, bytes.first(split - offset));
    FillShared(split, bytes.subspan(split - offset));
    return;
  }
  FillShared(offset, bytes.first(first_whole - offset));
  WriteBlocks(first_whole, bytes.subspan(first_whole - offset, last_whole - first_whole));
  FillShared(last_whole, bytes.subspan(last_whole - offset));
}

// `bytes` lie within one block.
void DirectOutput::FillShared(uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const uint64_t block = AlignDown(offset);
  SharedBlock& shared = shared_[block];
  if (shared.memory.size() == 0) {
    shared.memory = AlignedBuffer(kIoAlignment);
    std::memset(shared.memory.data(), 0, kIoAlignment);
  }
  Copy(shared.memory.data() + (offset - block), bytes);
  shared.filled += bytes.size();
  if (shared.filled < std::min(kIoAlignment, size_ - block)) return;
  const AlignedBuffer complete = std::move(shared.memory);
  shared_.erase(block);
  WriteBlocks(block, complete.bytes());
}

void DirectOutput::WriteBlocks(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min<size_t>(bytes.size(), options_.request_bytes));
    Transfer transfer{TakeBuffer(), offset, 0, part.size()};
    Copy(transfer.memory.data(), part);
    Submit(std::move(transfer));
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
}

AlignedBuffer DirectOutput::TakeBuffer() {
  while (under_way_.size() >= options_.depth) WaitForOne();
  if (free_.empty()) return AlignedBuffer(options_.request_bytes);
  AlignedBuffer buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void DirectOutput::Submit(Transfer transfer) {
  const uint64_t tag = next_tag_++;
  queue_->Submit({.kind = IoRequest::Kind::kWrite,
                  .fd = file_.descriptor(),
                  .data = transfer.memory.data() + transfer.begin,
                  .bytes = static_cast<size_t>(transfer.end - transfer.begin),
                  .offset = transfer.offset + transfer.begin,
                  .tag = tag});
  under_way_.emplace(tag, std::move(transfer));
}

void DirectOutput::WaitForOne() {
  const IoCompletion completion = queue_->Wait();
  Transfer transfer = std::move(under_way_.extract(completion.tag).mapped());
  if (completion.result <= 0) {
    ThrowWriteError(file_.path(),
                    completion.result == 0 ? EIO : static_cast<int>(-completion.result));
  }
  transfer.begin += static_cast<uint64_t>(completion.result);
  if (transfer.begin < transfer.end) return Submit(std::move(transfer));
  free_.push_back(std::move(transfer.memory));
}

void DirectOutput::Finish() {
  while (!under_way_.empty()) WaitForOne();
  assert(shared_.empty() && "bytes of the file were never given");
  file_.Truncate(size_);
}

}  // namespace vernier
