// The "added_tokens" of tokenizer.json: strings that are recognised in the text as they stand.
#ifndef VERNIER_DATASETS_ADDED_TOKENS_H_
#define VERNIER_DATASETS_ADDED_TOKENS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "datasets/json_part.h"
#include "datasets/normalizer.h"
#include "datasets/regex.h"
#include "datasets/token_trie.h"
#include "datasets/vocabulary.h"

namespace vernier::datasets {

struct AddedToken {
  std::string content;
  int32_t id;
  bool single_word;  // only where no word character touches it
  bool lstrip;       // takes the white space before it
  bool rstrip;       // takes the white space after it
  bool normalized;   // looked for in the normalised text
  bool special;      // a control token; among equal strings it comes first
};

class AddedTokens {
 public:
  // A stretch of text, or an added token's id in its place.
  struct Piece {
    std::string_view text;
    std::optional<int32_t> id;
  };

  // The field "added_tokens" of `file`, which may be absent. Throws kBadTokenizer for a token given
  // twice, and for an id that is not the one of the vocabulary or, for a new token, the next free.
  static AddedTokens FromJson(const JsonPart& file, const Vocabulary& vocabulary,
                              const Normalizer& normalizer);

  // Cuts a text before normalisation at the tokens that are not `normalized`; the leftmost, and of
  // those the longest, token wins. Pieces view `text`.
  std::vector<Piece> SplitRaw(std::string_view text) const;
  // Cuts a normalised text at the normalised contents of the others.
  std::vector<Piece> SplitNormalized(std::string_view text) const;

  std::optional<int32_t> Find(std::string_view content) const;
  const std::string* Token(int32_t id) const;
  // -1 when there are none.
  int32_t largest_id() const { return largest_id_; }

 private:
  void Add(AddedToken token);
  void AddPatterns(bool special, const Normalizer& normalizer, const JsonPart& file);
  std::vector<Piece> SplitAt(const TokenTrie& patterns, std::string_view text) const;
  bool TouchesWord(std::string_view text, size_t begin, size_t end) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, size_t> by_content_;  // into tokens_
  std::unordered_map<int32_t, size_t> by_id_;
  TokenTrie raw_;  // values: into tokens_
  TokenTrie normalized_;
  std::optional<Regex> word_character_;  // only if a token is single_word
  int32_t largest_id_ = -1;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_ADDED_TOKENS_H_
