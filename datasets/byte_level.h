// The byte-level alphabet: each byte has a printable character, so that any text is words of BPE.
#ifndef VERNIER_DATASETS_BYTE_LEVEL_H_
#define VERNIER_DATASETS_BYTE_LEVEL_H_

#include <string>
#include <string_view>

namespace vernier::datasets {

// GPT-2's way of cutting text into words (the pattern of its encoder.py).
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The characters of `bytes`, one a byte (GPT-2's bytes_to_unicode).
std::string BytesToAlphabet(std::string_view bytes);

// The bytes of a token. A token with a character outside the alphabet (an added token, say) stands
// for itself as a whole, as in the Hugging Face ByteLevel decoder.
std::string AlphabetToBytes(std::string_view token);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_BYTE_LEVEL_H_
