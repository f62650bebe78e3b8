// Weights on their way from a checkpoint to a device, in the format in which they are stored.
#ifndef VERNIER_CALIB_WEIGHT_STREAM_H_
#define VERNIER_CALIB_WEIGHT_STREAM_H_

#include <ATen/ATen.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "calib/budget/loop_constants.h"
#include "calib/copy_lane.h"
#include "calib/device_decoder.h"
#include "calib/pinned_ring.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/read_observer.h"
#include "checkpoint/shard_reader.h"

namespace vernier::calib {

struct WeightStreamOptions {
  uint64_t ring_bytes = 0;  // host memory of what was read and is not on the device yet
  uint64_t ahead_bytes = kWeightsAhead;  // on the device of weights that nobody has asked for yet
  uint64_t piece_bytes = 32u << 20u;     // largest copy; the ring holds at least two
  int readers = 0;                       // threads; 0: one a core, at most 16
};

// Threads read the expected weights in their order into a ring, hash them on the way, and never
// stop but for want of room; the device copies them from there beside its work. All functions
// belong to one thread.
class WeightStream {
 public:
  // Both must outlive it. `observer` (may be null) is given the digests of all tensors.
  WeightStream(const checkpoint::Checkpoint& checkpoint, checkpoint::ReadObserver* observer,
               at::Device device, const WeightStreamOptions& options = {});
  ~WeightStream();
  WeightStream(const WeightStream&) = delete;
  WeightStream& operator=(const WeightStream&) = delete;

  // What will be taken from now on, each weight once and best in this order. Of what was expected
  // before, only that is kept. The weights must outlive the stream.
  void Expect(const std::vector<const checkpoint::LogicalWeight*>& weights);
  bool Expects(const checkpoint::LogicalWeight& weight) const {
    return expected_.contains(&weight);
  }

  // An expected weight, on the device. Waits for it; throws what went wrong with reading it.
  StoredWeight Take(const checkpoint::LogicalWeight& weight);

 private:
  struct Part {
    size_t tensor = 0;
    size_t shard = 0;
    uint64_t begin = 0, end = 0;  // in the shard
    at::Tensor bytes = {};        // on the device
  };
  // Of a part, [begin, end) in the shard.
  struct Piece {
    size_t part = 0;
    uint64_t begin = 0, end = 0;
    uint64_t place = 0;  // in the ring
  };
  // A weight on its way from a reader to the device.
  struct Entry {
    const checkpoint::LogicalWeight* weight = nullptr;
    std::vector<Part> parts = {};
    std::vector<Piece> pieces = {};
    float global_scale = 1;
    std::exception_ptr error = {};
    size_t reserved = 0, read = 0, sent = 0;  // pieces
    bool wanted = true;
    bool started = false;
    bool finished = false;  // no reader touches it any more
  };
  using Entries = std::list<Entry>;
  struct Arrived {
    StoredWeight stored;
    uint64_t bytes = 0;
    Fence fence = {};
    std::exception_ptr error = {};
  };

  // The readers' side.
  void ReadEntries();
  void Read(Entries::iterator entry);
  bool ReserveInTurn(Entries::iterator entry, size_t piece);
  bool IsItsTurn(Entries::iterator entry);
  bool ReserveSome(Entry& entry);

  // The taker's side.
  Entry Describe(const checkpoint::LogicalWeight& weight) const;
  void DropUnexpected();
  void SendFront();
  void SendAhead();
  void WaitForPiece(std::unique_lock<std::mutex>& lock, const Entry& entry);
  Fence Send(Part& part, const Piece& piece);
  void Keep(Entry& entry, const Fence& fence);

  // Both sides', with the lock held.
  void FreePassed();
  // Waits until done(); meanwhile who polls() asks the device for room.
  template <class Polls, class Done>
  void WaitUntil(std::unique_lock<std::mutex>& lock, Polls polls, Done done);

  const checkpoint::Checkpoint& checkpoint_;
  checkpoint::ReadObserver* observer_;
  WeightStreamOptions options_;
  checkpoint::ShardReader reader_;
  CopyLane lane_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  Entries entries_;  // those that were started stand before the others
  PinnedRing ring_;

  std::unordered_set<const checkpoint::LogicalWeight*> expected_;
  std::unordered_map<const checkpoint::LogicalWeight*, Arrived> arrived_;
  uint64_t arrived_bytes_ = 0;
  std::deque<Fence> leaving_;  // of the oldest stretches of the ring
  std::vector<std::thread> readers_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_WEIGHT_STREAM_H_
