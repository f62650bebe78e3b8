// A tokenizer whose ids can be read: every byte is its own id.
#ifndef VERNIER_TESTS_DATASETS_BYTE_TOKENIZER_H_
#define VERNIER_TESTS_DATASETS_BYTE_TOKENIZER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/tokenizer.h"

namespace vernier::datasets {

inline constexpr int32_t kBos = 256;
inline constexpr int32_t kEos = 257;

struct ByteTokenizerOptions {
  bool adds_bos = false;
  bool adds_eos = false;
  std::vector<std::string> control_tokens = {};  // ids from 258 on
  std::string chat_template = {};                // none when empty
};

// Ids 0..255 are the bytes; 256 is "<bos>", 257 "<eos>", then the control tokens.
Tokenizer MakeByteTokenizer(const ByteTokenizerOptions& options = {});

// What it makes of `text` when that holds no added token.
std::vector<int32_t> ByteIds(std::string_view text);

}  // namespace vernier::datasets

#endif  // VERNIER_TESTS_DATASETS_BYTE_TOKENIZER_H_
