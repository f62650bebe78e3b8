// BPE tokenizers in the Hugging Face tokenizer.json format: byte-level ones, and those that
// transformers converts from sentencepiece models.
#ifndef VERNIER_DATASETS_TOKENIZER_H_
#define VERNIER_DATASETS_TOKENIZER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/chat_templates.h"

namespace vernier::datasets {

// Immutable after loading; Encode and Decode are thread-safe.
class Tokenizer {
 public:
  // Reads tokenizer.json and, if present, tokenizer_config.json and the files of chat templates
  // (chat_templates.h) of `directory`. Any part of the
  // file that would change ids and is not supported is refused by name (kBadTokenizer); so is a
  // directory with a tokenizer of another kind. "truncation" and "padding" are settings of whoever
  // saved the file and mean nothing here.
  static Tokenizer Load(const std::filesystem::path& directory);
  // The same from texts; `config_json` may be empty. For tests and fuzzing.
  static Tokenizer Parse(std::string_view tokenizer_json, std::string_view config_json,
                         std::string_view origin);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Ids of UTF-8 `text` (invalid sequences become U+FFFD). Added tokens in the text are recognised;
  // prefix() and suffix() are not added.
  std::vector<int32_t> Encode(std::string_view text) const;
  // UTF-8 text of `ids`, special tokens included; ids outside the vocabulary are an Error.
  std::string Decode(std::span<const int32_t> ids) const;
  // Whether there is a token with this id.
  bool Has(int32_t id) const;

  // Number of ids: largest id + 1, added tokens included.
  int32_t vocab_size() const;
  // The id of an exact vocabulary or added-token string.
  std::optional<int32_t> TokenId(std::string_view token) const;

  // Hash of the texts that it was made from.
  const std::string& fingerprint() const;

  // What the model expects before and after a text, BOS and EOS mostly: by the post-processor of
  // tokenizer.json or, where that decides nothing (post_processor.h), by add_bos_token and
  // add_eos_token of tokenizer_config.json.
  const std::vector<int32_t>& prefix() const;
  const std::vector<int32_t>& suffix() const;

  // bos_token and eos_token of tokenizer_config.json.
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;

  const ChatTemplates& chat_templates() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_TOKENIZER_H_
