// Counts the bytes that an audit has read, for a progress display.
#ifndef VERNIER_AUDIT_READ_METER_H_
#define VERNIER_AUDIT_READ_METER_H_

#include <cstdint>
#include <functional>
#include <utility>

namespace vernier::audit {

// Bytes read so far, and in all.
using ReadCallback = std::function<void(uint64_t done, uint64_t total)>;

// What is expected must all be known before the first byte is added: a display keeps the first
// total. Used by one thread at a time.
class ReadMeter {
 public:
  explicit ReadMeter(ReadCallback callback) : callback_(std::move(callback)) {}

  void Expect(uint64_t bytes) { total_ += bytes; }

  void Add(uint64_t bytes) {
    if (bytes == 0) return;
    done_ += bytes;
    if (callback_) callback_(done_, total_);
  }

 private:
  ReadCallback callback_;
  uint64_t total_ = 0;
  uint64_t done_ = 0;
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_READ_METER_H_
