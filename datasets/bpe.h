// Byte pair encoding: the "model" of tokenizer.json.
#ifndef VERNIER_DATASETS_BPE_H_
#define VERNIER_DATASETS_BPE_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "datasets/json_part.h"
#include "datasets/merge_table.h"
#include "datasets/vocabulary.h"

namespace vernier::datasets {

class Bpe {
 public:
  // Throws kBadTokenizer for a model that is not BPE, for a merge of tokens or an unk_token that
  // the vocabulary lacks, and for dropout and affixes.
  static Bpe FromJson(const JsonPart& model);

  // Appends the ids of one word: its characters, of which the adjacent pair with the first merge in
  // the list is merged (the leftmost of equal ones) until no merge applies; with ignore_merges a
  // word that is a token is that token. A character outside the vocabulary is, with byte_fallback,
  // the tokens "<0x0A>" of its bytes, if all are there; else the unk_token, once for adjacent ones
  // with fuse_unk; without one it gives no id, as in Hugging Face tokenizers. O(n log n) for n
  // characters.
  void Encode(std::string_view word, std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  class Word;

  void AddMerge(std::string_view left, std::string_view right, const JsonPart& merges);

  Vocabulary vocabulary_;
  MergeTable merges_;
  int32_t merge_count_ = 0;
  bool ignore_merges_ = false;
  bool byte_fallback_ = false;
  bool fuse_unknown_ = false;
  std::optional<int32_t> unknown_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_BPE_H_
