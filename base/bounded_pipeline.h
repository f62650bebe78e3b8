// Parallel work on a stream of items with bounded memory.
#ifndef VERNIER_BASE_BOUNDED_PIPELINE_H_
#define VERNIER_BASE_BOUNDED_PIPELINE_H_

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/hand_over.h"

namespace vernier {

// The places of a fixed number of objects, handed out and taken back by any thread.
template <typename T>
class SlotPool {
 public:
  explicit SlotPool(int count) : slots_(static_cast<size_t>(count)) {
    for (T& slot : slots_) free_.push_back(&slot);
  }

  T* Take() {
    const std::lock_guard lock(mutex_);
    assert(!free_.empty());
    T* slot = free_.back();
    free_.pop_back();
    return slot;
  }

  void Return(T* slot) {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
  }

 private:
  std::vector<T> slots_;
  std::mutex mutex_;
  std::vector<T*> free_;
};

// The first exception of any thread.
class FirstFailure {
 public:
  // Calls `step` unless something failed before; keeps what it throws.
  template <typename Step>
  void Guard(Step step) {
    if (failed_) return;
    try {
      step();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_.exchange(true)) exception_ = std::current_exception();
    }
  }

  bool failed() const { return failed_; }
  void Rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::exception_ptr exception_;
};

// Runs `work(item)` on up to `threads` threads, or as many as the machine has, for every item that
// `next` returns until it returns nothing. `next` and `done(result)` run one call at a time, `done`
// in the order of the items; at most `items` items and results exist at once. The first exception
// stops everything and is thrown again.
template <typename Next, typename Work, typename Done>
void RunBounded(int threads, int items, Next next, Work work, Done done) {
  struct Slot {
    decltype(next()) item;
    std::optional<decltype(work(*std::move(item)))> result;
  };
  namespace tbb = oneapi::tbb;

  SlotPool<Slot> slots(items);
  FirstFailure failure;
  const auto take = [&](tbb::flow_control& control) -> Slot* {
    TakeOver();
    Slot* slot = slots.Take();
    failure.Guard([&] { slot->item = next(); });
    if (!slot->item || failure.failed()) control.stop();
    HandOver();
    return slot;
  };
  const auto convert = [&](Slot* slot) {
    TakeOver();
    failure.Guard([&] { slot->result.emplace(work(*std::move(slot->item))); });
    slot->item.reset();
    HandOver();
    return slot;
  };
  const auto finish = [&](Slot* slot) {
    TakeOver();
    failure.Guard([&] { done(*std::move(slot->result)); });
    slot->result.reset();
    slots.Return(slot);
    HandOver();
  };
  HandOver();
  tbb::task_arena arena(std::min(threads, tbb::info::default_concurrency()));
  arena.execute([&] {
    tbb::parallel_pipeline(
        static_cast<size_t>(items),
        tbb::make_filter<void, Slot*>(tbb::filter_mode::serial_in_order, take) &
            tbb::make_filter<Slot*, Slot*>(tbb::filter_mode::parallel, convert) &
            tbb::make_filter<Slot*, void>(tbb::filter_mode::serial_in_order, finish));
  });
  TakeOver();
  failure.Rethrow();
}

}  // namespace vernier

#endif  // VERNIER_BASE_BOUNDED_PIPELINE_H_
