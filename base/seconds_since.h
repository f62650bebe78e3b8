// How long something takes.
#ifndef VERNIER_BASE_SECONDS_SINCE_H_
#define VERNIER_BASE_SECONDS_SINCE_H_

#include <chrono>

namespace vernier {

inline double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace vernier

#endif  // VERNIER_BASE_SECONDS_SINCE_H_
