// How sentencepiece models write a space.
#ifndef VERNIER_DATASETS_SPACE_MARK_H_
#define VERNIER_DATASETS_SPACE_MARK_H_

#include <string_view>

namespace vernier::datasets {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_SPACE_MARK_H_
