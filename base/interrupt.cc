#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>

#include "base/error.h"

namespace vernier {
namespace {

constexpr std::string_view kFinishing =
    "\nvernier: interrupted; finishing the work in flight (interrupt again to leave at once)\n";

// Signal handlers have nowhere else to leave their mark.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

// Only calls that are safe in a signal handler.
void OnSignal(int) {
  if (interrupted.exchange(true)) _exit(kExitInterrupted);
  [[maybe_unused]] const ssize_t put = write(STDERR_FILENO, kFinishing.data(), kFinishing.size());
}

}  // namespace

void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool InterruptRequested() { return interrupted.load(); }

void ThrowInterrupted() {
  throw Error(ErrorCode::kInterrupted, "this run", "was interrupted after a whole unit of work",
              "Run the same command again to continue; finished work is kept");
}

void ThrowIfInterrupted() {
  if (InterruptRequested()) ThrowInterrupted();
}

}  // namespace vernier
