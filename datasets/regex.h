// Compiled patterns over UTF-8 text (PCRE2).
#ifndef VERNIER_DATASETS_REGEX_H_
#define VERNIER_DATASETS_REGEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/json_part.h"

namespace vernier::datasets {

// A range of bytes [begin, end) of a text.
struct Span {
  size_t begin;
  size_t end;
};

// Immutable: one Regex may be used by many threads.
class Regex {
 public:
  // A pattern in Oniguruma's syntax, as tokenizer.json has them. `place` is refused when it cannot
  // be compiled.
  static Regex Compile(std::string_view pattern, const JsonPart& place);
  // The pattern that matches exactly `text`.
  static Regex Literal(std::string_view text, const JsonPart& place);
  // tokenizer.json's {"Regex": pattern} or {"String": text}.
  static Regex FromJson(const JsonPart& part);

  // All matches in `text` (well-formed UTF-8), from left to right, without overlap; an empty match
  // right after another match does not count. An empty text has no match. Throws kBadTokenizer when
  // PCRE2 gives up (too much backtracking).
  std::vector<Span> FindAll(std::string_view text) const;

 private:
  struct CodeDeleter {
    void operator()(void* code) const;
  };

  Regex(std::string_view source, std::string_view pattern, uint32_t options, const JsonPart& place);

  std::string source_;                       // as the file has it, for messages
  std::unique_ptr<void, CodeDeleter> code_;  // pcre2_code
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_REGEX_H_
