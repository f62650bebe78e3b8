// Counts the bytes that an audit has gone through, for a progress display.
#ifndef VERNIER_AUDIT_READ_METER_H_
#define VERNIER_AUDIT_READ_METER_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace vernier::audit {

// Bytes gone through so far, and in all.
using ReadCallback = std::function<void(uint64_t done, uint64_t total)>;

// Thread-safe: the callback is called by one thread at a time, with increasing numbers.
class ReadMeter {
 public:
  ReadMeter(uint64_t total, ReadCallback callback)
      : total_(total), callback_(std::move(callback)) {}

  void Add(uint64_t bytes) {
    if (bytes == 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    done_ += bytes;
    if (callback_) callback_(done_, total_);
  }

 private:
  uint64_t total_;
  ReadCallback callback_;
  std::mutex mutex_;
  uint64_t done_ = 0;
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_READ_METER_H_
