// Solved weights on their way to the store.
#ifndef VERNIER_CALIB_SOLVED_SPOOL_H_
#define VERNIER_CALIB_SOLVED_SPOOL_H_

#include <cstdint>
#include <filesystem>
#include <future>
#include <utility>
#include <vector>

#include "calib/budget/loop_constants.h"
#include "calib/encoded_weight.h"
#include "run/solved_weight.h"

namespace vernier::calib {

// Keeps what was solved of a layer until its rows are committed. Of many weights bytes are fetched
// from the device and go to files meanwhile, beside the work, so that memory has few and a commit
// has little to write: a layer of 384 experts has 14 GB of codes. For one thread.
class SolvedSpool {
 public:
  struct Options {
    std::filesystem::path run_dir;  // files come there
    uint64_t batch_bytes = kSolvedBatchBytes;
  };
  // At least `batch_bytes` are written together, while as many are gathered: memory has twice as
  // many, two weights more, and one of them twice at most.
  explicit SolvedSpool(Options options) : options_(std::move(options)) {}

  // Of `layer` from now on; what was not taken is forgotten.
  void BeginLayer(int layer);
  // Without its bytes, which are those of `encoded` (undefined: none), on any device. Also throws
  // what went wrong with earlier ones: kNoSpace, kFileWrite.
  void Add(run::SolvedWeight weight, EncodedWeight encoded);
  // What was not taken, until this changes.
  std::vector<const run::SolvedWeight*> All();
  // The same, forgotten here: all since this was called last, in the order in which they came.
  std::vector<run::SolvedWeight> Take();
  // Of those that are not in files yet, at most, here and on the device.
  uint64_t MemoryBytes() const { return fetched_bytes_ + writing_bytes_ + waiting_bytes_; }

 private:
  struct Entry {
    run::SolvedWeight weight;
    EncodedWeight encoded;
  };

  static std::vector<run::SolvedWeight> Fetch(std::vector<Entry> entries);
  void FetchWaiting();
  void Write();
  void Wait();

  Options options_;
  int layer_ = 0;
  std::vector<run::SolvedWeight> fetched_;  // in files, but for those of the last batch
  uint64_t fetched_bytes_ = 0;              // of these
  std::future<std::vector<run::SolvedWeight>> writing_;
  uint64_t writing_bytes_ = 0;
  std::vector<Entry> waiting_;
  uint64_t waiting_bytes_ = 0;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_SOLVED_SPOOL_H_
