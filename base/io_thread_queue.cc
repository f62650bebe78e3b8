#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/io_queue.h"

namespace vernier {
namespace {

// Enough to keep a solid-state disk busy; each sleeps in the kernel most of the time.
constexpr unsigned kMaxThreads = 16;

int64_t Execute(const IoRequest& request) {
  const auto offset = static_cast<off_t>(request.offset);
  ssize_t moved = 0;
  do {
    moved = request.kind == IoRequest::Kind::kRead
                ? pread(request.fd, request.data, request.bytes, offset)
                : pwrite(request.fd, request.data, request.bytes, offset);
  } while (moved < 0 && errno == EINTR);
  return moved < 0 ? -errno : moved;
}

class ThreadQueue : public IoQueue {
 public:
  explicit ThreadQueue(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { Serve(); });
  }

  ~ThreadQueue() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void Submit(const IoRequest& request) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    work_.notify_one();
  }

  IoCompletion Wait() override {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return !completions_.empty(); });
    const IoCompletion completion = completions_.front();
    completions_.pop_front();
    return completion;
  }

 private:
  void Serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return closing_ || !requests_.empty(); });
      if (requests_.empty()) return;
      const IoRequest request = requests_.front();
      requests_.pop_front();
      lock.unlock();
      const int64_t result = Execute(request);
      lock.lock();
      completions_.push_back({request.tag, result});
      finished_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_, finished_;
  std::deque<IoRequest> requests_;
  std::deque<IoCompletion> completions_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<IoQueue> MakeThreadQueue(unsigned depth) {
  return std::make_unique<ThreadQueue>(std::min(depth, kMaxThreads));
}

std::unique_ptr<IoQueue> MakeIoQueue(unsigned depth, IoBackend backend) {
  if (backend != IoBackend::kThreads) {
    if (std::unique_ptr<IoQueue> queue = MakeUringQueue(depth)) return queue;
  }
  return MakeThreadQueue(depth);
}

}  // namespace vernier
