#include "calib/weight_stream.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/thread_count.h"
#include "checkpoint/tensor_digests.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::calib {
namespace {

using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;
using checkpoint::ShardReader;

constexpr int kMostReaders = 16;
// How often the device is asked whether it has copied something.
constexpr std::chrono::microseconds kPollInterval{50};

int ReaderCount(int wanted) {
  if (wanted > 0) return wanted;
  return std::min(ThreadCount(), kMostReaders);
}

uint64_t RoomFor(uint64_t piece_bytes) { return piece_bytes + 2 * kIoAlignment; }

}  // namespace

WeightStream::WeightStream(const Checkpoint& checkpoint, checkpoint::ReadObserver* observer,
                           at::Device device, const WeightStreamOptions& options)
    : checkpoint_(checkpoint),
      observer_(observer),
      options_(options),
      reader_(checkpoint),
      lane_(device),
      ring_(std::max(options.ring_bytes, 2 * RoomFor(options.piece_bytes)), device) {
  for (int i = 0; i < ReaderCount(options_.readers); ++i) {
    readers_.emplace_back([this] { ReadEntries(); });
  }
}

WeightStream::~WeightStream() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& reader : readers_) reader.join();
  while (!leaving_.empty()) {  // the device copies from the ring
    FreePassed();
    std::this_thread::yield();
  }
}

WeightStream::Entry WeightStream::Describe(const LogicalWeight& weight) const {
  Entry entry;
  entry.weight = &weight;
  for (const size_t tensor : {weight.main, weight.scale}) {
    if (tensor == Checkpoint::kNotFound) continue;
    const checkpoint::TensorLocation& location = checkpoint_.tensor(tensor);
    const uint64_t begin = location.info.begin, end = begin + location.info.Bytes();
    for (uint64_t at = begin; at < end; at += options_.piece_bytes) {
      entry.pieces.push_back({.part = entry.parts.size(),
                              .begin = at,
                              .end = std::min(at + options_.piece_bytes, end)});
    }
    entry.parts.push_back({.tensor = tensor, .shard = location.shard, .begin = begin, .end = end});
  }
  return entry;
}

void WeightStream::Expect(const std::vector<const LogicalWeight*>& weights) {
  expected_ = {weights.begin(), weights.end()};
  std::unordered_set<const LogicalWeight*> under_way;
  {
    const std::lock_guard lock(mutex_);
    DropUnexpected();
    for (const Entry& entry : entries_) {
      if (entry.wanted) under_way.insert(entry.weight);
    }
    for (const LogicalWeight* weight : weights) {
      if (!under_way.contains(weight) && !arrived_.contains(weight)) {
        entries_.push_back(Describe(*weight));
      }
    }
  }
  changed_.notify_all();
}

// What computes next may get the memory of what is dropped: behind the copy to it.
void WeightStream::DropUnexpected() {
  std::erase_if(arrived_, [this](const auto& arrived) {
    if (expected_.contains(arrived.first)) return false;
    arrived_bytes_ -= arrived.second.bytes;
    lane_.WaitFor(arrived.second.fence);
    return true;
  });
  for (Entry& entry : entries_) entry.wanted = entry.wanted && expected_.contains(entry.weight);
  std::erase_if(entries_, [](const Entry& entry) { return !entry.wanted && !entry.started; });
}

void WeightStream::ReadEntries() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto entry = entries_.end();
    changed_.wait(lock, [&] {
      entry = std::ranges::find(entries_, false, &Entry::started);
      return stop_ || entry != entries_.end();
    });
    if (stop_) return;
    entry->started = true;
    lock.unlock();
    std::exception_ptr error;
    try {
      Read(entry);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    // What was not reserved is given up; of what was, nothing is used after an error.
    entry->error = error;
    entry->pieces.resize(entry->reserved);
    entry->read = entry->reserved;
    entry->finished = true;
    changed_.notify_all();
  }
}

void WeightStream::Read(Entries::iterator entry) {
  checkpoint::TensorDigests digests(checkpoint_, observer_);
  const size_t pieces = entry->pieces.size();
  for (size_t i = 0; i < pieces; ++i) {
    if (!ReserveInTurn(entry, i)) return;
    const Piece& piece = entry->pieces[i];
    const Part& part = entry->parts[piece.part];
    std::byte* const memory = ring_.Address(piece.place);
    reader_.Read(part.shard, piece.begin, piece.end, memory);
    digests.Add(part.tensor, piece.begin - part.begin,
                {memory + ShardReader::Skip(piece.begin), piece.end - piece.begin});
    const std::lock_guard lock(mutex_);
    ++entry->read;
    changed_.notify_all();
  }
  entry->global_scale = checkpoint::ReadGlobalScale(checkpoint_, *entry->weight);
  for (const size_t part : entry->weight->whole_parts()) {
    if (part != Checkpoint::kNotFound) digests.AddWhole(part);
  }
}

// Entries reserve one after the other, so that the ring is in their order, and as many pieces as
// there is room for, so that the next one's turn comes before they are read. False: the entry is
// not wanted any more.
bool WeightStream::ReserveInTurn(Entries::iterator entry, size_t piece) {
  std::unique_lock lock(mutex_);
  WaitUntil(
      lock, /*polls=*/[&] { return IsItsTurn(entry); },
      [&] {
        return stop_ || !entry->wanted || entry->reserved > piece ||
               (IsItsTurn(entry) && ReserveSome(*entry));
      });
  if (stop_ || entry->reserved <= piece) return false;
  if (entry->reserved == entry->pieces.size()) changed_.notify_all();  // the next one's turn
  return true;
}

bool WeightStream::IsItsTurn(Entries::iterator entry) {
  return std::all_of(entries_.begin(), entry,
                     [](const Entry& before) { return before.reserved == before.pieces.size(); });
}

// Whether there was room for one more.
bool WeightStream::ReserveSome(Entry& entry) {
  const size_t before = entry.reserved;
  while (entry.reserved < entry.pieces.size()) {
    Piece& piece = entry.pieces[entry.reserved];
    const auto place = ring_.Reserve(ShardReader::Room(piece.begin, piece.end));
    if (!place) break;
    piece.place = *place;
    ++entry.reserved;
  }
  return entry.reserved > before;
}

StoredWeight WeightStream::Take(const LogicalWeight& weight) {
  assert(Expects(weight));
  while (!arrived_.contains(&weight)) SendFront();
  auto found = arrived_.extract(&weight);
  Arrived& arrived = found.mapped();
  expected_.erase(&weight);
  arrived_bytes_ -= arrived.bytes;
  lane_.WaitFor(arrived.fence);
  if (arrived.error) std::rethrow_exception(arrived.error);
  SendAhead();
  return std::move(arrived.stored);
}

void WeightStream::SendAhead() {
  while (arrived_bytes_ < options_.ahead_bytes) {
    {
      const std::lock_guard lock(mutex_);
      if (entries_.empty() || !entries_.front().finished) return;
    }
    SendFront();
  }
}

// Waits for the first of the entries, and has its bytes copied.
void WeightStream::SendFront() {
  std::unique_lock lock(mutex_);
  assert(!entries_.empty());
  Entry& entry = entries_.front();
  Fence fence;
  while (true) {
    WaitForPiece(lock, entry);
    if (entry.sent == entry.read) break;  // and it is finished
    const Piece piece = entry.pieces[entry.sent++];
    const bool used = entry.wanted && !entry.error;
    lock.unlock();
    if (used) fence = Send(entry.parts[piece.part], piece);
    lock.lock();
    leaving_.push_back(used ? fence : Fence());
    FreePassed();
  }
  Keep(entry, fence);
  entries_.pop_front();
  changed_.notify_all();  // also who slept while nothing was leaving, and asks from now on
}

void WeightStream::WaitForPiece(std::unique_lock<std::mutex>& lock, const Entry& entry) {
  WaitUntil(
      lock, /*polls=*/[] { return true; },
      [&] { return entry.sent < entry.read || entry.finished; });
}

// The taker may be computing for long: who waits, and would get the room that the device makes,
// asks it whether it has copied.
template <class Polls, class Done>
void WeightStream::WaitUntil(std::unique_lock<std::mutex>& lock, Polls polls, Done done) {
  while (true) {
    const bool asks = polls();
    if (asks) FreePassed();
    if (done()) return;
    if (asks && !leaving_.empty()) {
      changed_.wait_for(lock, kPollInterval);
    } else {
      changed_.wait(lock);
    }
  }
}

Fence WeightStream::Send(Part& part, const Piece& piece) {
  if (!part.bytes.defined())
    part.bytes = lane_.Allocate(static_cast<int64_t>(part.end - part.begin));
  const auto size = static_cast<int64_t>(piece.end - piece.begin);
  const at::Tensor to = part.bytes.narrow(0, static_cast<int64_t>(piece.begin - part.begin), size);
  return lane_.Copy(
      to, ring_.Bytes(piece.place + ShardReader::Skip(piece.begin), piece.end - piece.begin));
}

// Of an entry that was sent, or of which some was before it was given up.
void WeightStream::Keep(Entry& entry, const Fence& fence) {
  if (!entry.wanted) return lane_.WaitFor(fence);
  Arrived arrived{.stored = {}, .bytes = 0, .fence = fence, .error = entry.error};
  const auto bytes_of = [&](size_t part) {
    at::Tensor& bytes = entry.parts[part].bytes;
    arrived.bytes += entry.parts[part].end - entry.parts[part].begin;
    return bytes.defined() ? bytes : lane_.Allocate(0);
  };
  arrived.stored.main = bytes_of(0);
  if (entry.parts.size() > 1) arrived.stored.scale = bytes_of(1);
  arrived.stored.global_scale = entry.global_scale;
  arrived_bytes_ += arrived.bytes;
  arrived_.emplace(entry.weight, std::move(arrived));
}

// The lock is held.
void WeightStream::FreePassed() {
  bool freed = false;
  for (; !leaving_.empty() && leaving_.front().Passed(); leaving_.pop_front()) {
    ring_.ReleaseOldest();
    freed = true;
  }
  if (freed) changed_.notify_all();
}

}  // namespace vernier::calib
