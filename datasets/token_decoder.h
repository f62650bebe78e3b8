// The "decoder" of tokenizer.json: from tokens back to text.
#ifndef VERNIER_DATASETS_TOKEN_DECODER_H_
#define VERNIER_DATASETS_TOKEN_DECODER_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "datasets/json_part.h"

namespace vernier::datasets {

class TokenDecoder {
 public:
  // The field "decoder" of `file`. Throws kBadTokenizer unless it is one of
  //   ByteLevel, alone or in a Sequence before Fuse
  //   a Sequence of Replace (U+2581 by a space), ByteFallback, Fuse and, if it is there, Strip of
  //   spaces at the beginning: what sentencepiece models are converted to
  static TokenDecoder FromJson(const JsonPart& file);

  // UTF-8; bytes that are none become U+FFFD.
  std::string Decode(std::span<const std::string_view> tokens) const;

 private:
  std::string DecodePieces(std::span<const std::string_view> tokens) const;

  bool byte_level_ = true;
  size_t stripped_spaces_ = 0;  // at most, at the beginning
};

// The byte of a token "<0x0A>", or -1.
int ByteOfToken(std::string_view token);
// "<0x0A>"
std::string TokenOfByte(unsigned char byte);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_TOKEN_DECODER_H_
