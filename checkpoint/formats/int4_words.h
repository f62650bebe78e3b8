// 4-bit integers in words of 32 bits.
#ifndef VERNIER_CHECKPOINT_FORMATS_INT4_WORDS_H_
#define VERNIER_CHECKPOINT_FORMATS_INT4_WORDS_H_

#include <cstdint>

namespace vernier::checkpoint {

inline constexpr int64_t kInt4PerWord = 8;

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_INT4_WORDS_H_
