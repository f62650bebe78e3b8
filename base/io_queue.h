// Asynchronous positional reads and writes.
#ifndef VERNIER_BASE_IO_QUEUE_H_
#define VERNIER_BASE_IO_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace vernier {

enum class IoBackend {
  kAuto,     // io_uring where this build and the kernel have it, threads otherwise
  kUring,    // io_uring; kAuto's choice where there is none
  kThreads,  // threads that call pread and pwrite
};

struct IoRequest {
  enum class Kind { kRead, kWrite };
  Kind kind = Kind::kRead;
  int fd = -1;
  std::byte* data = nullptr;  // stays valid until the request's completion was taken
  size_t bytes = 0;
  uint64_t offset = 0;
  uint64_t tag = 0;  // returned with the completion
};

struct IoCompletion {
  uint64_t tag = 0;
  int64_t result = 0;  // bytes moved, which may be fewer than asked for, or a negative errno
};

// Used by one thread at a time. The owner takes every completion before it destroys the queue.
class IoQueue {
 public:
  virtual ~IoQueue() = default;
  // At most `depth` requests (MakeIoQueue) may be under way.
  virtual void Submit(const IoRequest& request) = 0;
  // Blocks until some request is complete; one must be under way.
  virtual IoCompletion Wait() = 0;
};

std::unique_ptr<IoQueue> MakeIoQueue(unsigned depth, IoBackend backend);

// One per file. The former is null where the kernel or the build has no io_uring.
std::unique_ptr<IoQueue> MakeUringQueue(unsigned depth);
std::unique_ptr<IoQueue> MakeThreadQueue(unsigned depth);

}  // namespace vernier

#endif  // VERNIER_BASE_IO_QUEUE_H_
