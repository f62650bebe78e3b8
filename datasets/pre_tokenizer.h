// The "pre_tokenizer" of tokenizer.json: cutting text into the words within which BPE merges.
#ifndef VERNIER_DATASETS_PRE_TOKENIZER_H_
#define VERNIER_DATASETS_PRE_TOKENIZER_H_

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "datasets/json_part.h"
#include "datasets/regex.h"

namespace vernier::datasets {

// What becomes of a match (a delimiter) when a text is split at it; the names are tokenizer.json's.
enum class SplitBehavior {
  kRemoved,             // dropped
  kIsolated,            // a piece of its own
  kMergedWithPrevious,  // joined to the piece before it
  kMergedWithNext,      // joined to the piece after it
  kContiguous,          // adjacent matches are one piece
};

// The pieces of a text of `size` bytes split at `matches` (ordered, disjoint); some may be empty.
// Source of the rules: Hugging Face tokenizers, NormalizedString::split.
std::vector<Span> SplitSpans(size_t size, std::span<const Span> matches, SplitBehavior behavior,
                             bool invert);

struct Split {
  Regex pattern;
  SplitBehavior behavior;
  bool invert;  // what is between the matches is the delimiter
};

// A space in front of each piece that does not start with one.
struct SpacePrefix {};

// Bytes become characters of the byte-level alphabet.
struct ByteAlphabet {};

// Spaces become U+2581, and one stands in front of a piece that does not start with one.
struct SpaceMark {
  enum class Prepend { kAlways, kFirst, kNever };  // kFirst: of a piece at the text's beginning
  Prepend prepend = Prepend::kAlways;
};

using PreTokenizerStep = std::variant<Split, SpacePrefix, ByteAlphabet, SpaceMark>;

class PreTokenizer {
 public:
  // The field "pre_tokenizer" of `file`, which may be null (one word). Sequences are flattened, and
  // ByteLevel, Digits and Metaspace written in terms of the steps above. Throws kBadTokenizer for
  // other types than these, Sequence and Split.
  static PreTokenizer FromJson(const JsonPart& file);

  // The words of `text` (well-formed UTF-8), in order, none empty. `at_start`: nothing stands
  // before it.
  std::vector<std::string> Apply(std::string_view text, bool at_start = true) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_PRE_TOKENIZER_H_
