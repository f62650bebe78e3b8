// How many threads to work with.
#ifndef VERNIER_BASE_THREAD_COUNT_H_
#define VERNIER_BASE_THREAD_COUNT_H_

#include <algorithm>
#include <thread>

namespace vernier {

// `wanted`, or if that is 0 one for each processor that this process may use.
inline int ThreadCount(int wanted = 0) {
  if (wanted > 0) return wanted;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace vernier

#endif  // VERNIER_BASE_THREAD_COUNT_H_
