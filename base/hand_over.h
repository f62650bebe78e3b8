// Tells ThreadSanitizer about synchronisation inside a library that it cannot see into.
#ifndef VERNIER_BASE_HAND_OVER_H_
#define VERNIER_BASE_HAND_OVER_H_

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace vernier {

// What a thread did before HandOver() happened before what another does after TakeOver(), if it
// took over later. Nothing without the sanitizer, and no synchronisation of its own: the library
// provides it, and the call must be where the library does.
#if defined(__SANITIZE_THREAD__)
inline char hand_over_point = 0;
inline void HandOver() { __tsan_release(&hand_over_point); }
inline void TakeOver() { __tsan_acquire(&hand_over_point); }
#else
inline void HandOver() {}
inline void TakeOver() {}
#endif

}  // namespace vernier

#endif  // VERNIER_BASE_HAND_OVER_H_
