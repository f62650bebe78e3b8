#include "base/thread_count.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace vernier {

int ThreadCount(int wanted) {
  if (wanted > 0) return wanted;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int ComputeThreadCount(int wanted) {
  if (wanted > 0) return wanted;
  for (const char* variable : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    const char* value = std::getenv(variable);
    const int threads = value == nullptr ? 0 : std::atoi(value);  // the first of "4,2"
    if (threads > 0) return threads;
  }
  return ThreadCount();
}

}  // namespace vernier
