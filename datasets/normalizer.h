// The "normalizer" of tokenizer.json: rewriting of the text before it is cut.
#ifndef VERNIER_DATASETS_NORMALIZER_H_
#define VERNIER_DATASETS_NORMALIZER_H_

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "datasets/json_part.h"
#include "datasets/regex.h"

namespace vernier::datasets {

// NFC, NFD, NFKC or NFKD.
struct UnicodeForm {
  bool compose;
  bool compatibility;
};

// Every match of `pattern` becomes `content`, literally.
struct Replacement {
  Regex pattern;
  std::string content;
};

// Put in front of a text that is not empty.
struct Prefix {
  std::string text;
};

// Unicode's lower case of each code point by itself (no final sigma).
struct Lowercase {};

struct StripSpace {
  bool left;
  bool right;
};

using NormalizerStep = std::variant<UnicodeForm, Replacement, Prefix, Lowercase, StripSpace>;

class Normalizer {
 public:
  // Does nothing.
  Normalizer() = default;
  // The field "normalizer" of `file`, which may be null. Sequences are flattened. Throws
  // kBadTokenizer for types other than Sequence, NFC, NFD, NFKC, NFKD, Replace, Prepend, Lowercase
  // and Strip.
  static Normalizer FromJson(const JsonPart& file);

  // Normalises well-formed UTF-8. Throws kBadTokenizer when replacements make the text absurdly
  // longer than it was.
  std::string Apply(std::string_view text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_NORMALIZER_H_
