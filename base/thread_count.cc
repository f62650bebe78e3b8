#include "base/thread_count.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace vernier {
namespace {

constexpr int kMostThreads = 4096;  // as for --threads

// 4 of "4,2"; 0 where there is none.
int FirstNumber(const char* text) {
  int number = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

}  // namespace

int ThreadCount(int wanted) {
  if (wanted > 0) return wanted;
  // hardware_concurrency counts those of the machine, also where an affinity leaves fewer.
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof(usable), &usable) == 0) return std::max(1, CPU_COUNT(&usable));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int ComputeThreadCount(int wanted) {
  if (wanted > 0) return wanted;
  for (const char* variable : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    const int threads = FirstNumber(std::getenv(variable));
    if (threads > 0 && threads <= kMostThreads) return threads;
  }
  return ThreadCount();
}

}  // namespace vernier
