// UTF-8 code points: what the tokenizer's parts share.
#ifndef VERNIER_DATASETS_UTF8_H_
#define VERNIER_DATASETS_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace vernier::datasets {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// How many of `bytes` are well-formed UTF-8 from the beginning on.
size_t WellFormedPrefix(std::string_view bytes);

// `bytes` with every maximal ill-formed subsequence replaced by U+FFFD (Unicode 15, section 3.9,
// "U+FFFD substitution of maximal subparts").
std::string RepairUtf8(std::string_view bytes);

// The code point that starts at text[position], which must be well-formed; moves `position` past
// it.
char32_t NextCodePoint(std::string_view text, size_t& position);

// Where the code point that ends at text[position - 1] starts; `position` must not be 0.
size_t PreviousCodePoint(std::string_view text, size_t position);

void AppendUtf8(char32_t code_point, std::string& out);

// Unicode property White_Space.
bool IsWhiteSpace(char32_t code_point);

// Length in bytes of the white space that starts, or ends, `text`.
size_t LeadingWhiteSpace(std::string_view text);
size_t TrailingWhiteSpace(std::string_view text);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_UTF8_H_
