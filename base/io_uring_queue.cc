#include "base/io_queue.h"

#ifdef VERNIER_HAVE_IO_URING
#include <liburing.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#endif

namespace vernier {

#ifdef VERNIER_HAVE_IO_URING
namespace {

[[noreturn]] void ThrowRingError(int error) {
  throw Error(ErrorCode::kFileRead, "io_uring", std::strerror(error),
              "Run again with VERNIER_IO=threads");
}

class UringQueue : public IoQueue {
 public:
  // Negative errno when there is no ring.
  int Open(unsigned depth) {
    const int error = io_uring_queue_init(depth, &ring_, 0);
    open_ = error == 0;
    return error;
  }

  ~UringQueue() override {
    if (open_) io_uring_queue_exit(&ring_);
  }

  void Submit(const IoRequest& request) override {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    assert(entry != nullptr && "more requests than the queue's depth");
    const auto bytes = static_cast<unsigned>(request.bytes);
    if (request.kind == IoRequest::Kind::kRead) {
      io_uring_prep_read(entry, request.fd, request.data, bytes, request.offset);
    } else {
      io_uring_prep_write(entry, request.fd, request.data, bytes, request.offset);
    }
    io_uring_sqe_set_data64(entry, request.tag);
    int submitted = 0;
    do {
      submitted = io_uring_submit(&ring_);
    } while (submitted == -EINTR || submitted == -EAGAIN);
    if (submitted < 0) ThrowRingError(-submitted);
  }

  IoCompletion Wait() override {
    io_uring_cqe* entry = nullptr;
    int error = 0;
    do {
      error = io_uring_wait_cqe(&ring_, &entry);
    } while (error == -EINTR);
    if (error < 0) ThrowRingError(-error);
    const IoCompletion completion{io_uring_cqe_get_data64(entry), entry->res};
    io_uring_cqe_seen(&ring_, entry);
    return completion;
  }

 private:
  io_uring ring_{};
  bool open_ = false;
};

}  // namespace

std::unique_ptr<IoQueue> MakeUringQueue(unsigned depth) {
  auto queue = std::make_unique<UringQueue>();
  if (queue->Open(depth) != 0) return nullptr;
  return queue;
}
#else
std::unique_ptr<IoQueue> MakeUringQueue(unsigned) { return nullptr; }
#endif

}  // namespace vernier
