// A tokenizer that may be missing: ready ids need none.
#ifndef VERNIER_DATASETS_TOKENIZER_OR_ERROR_H_
#define VERNIER_DATASETS_TOKENIZER_OR_ERROR_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {

class TokenizerOrError {
 public:
  // What Tokenizer::Load gives, or why it gives nothing.
  static TokenizerOrError Load(const std::filesystem::path& directory);
  // One that somebody has, and that must outlive it.
  TokenizerOrError(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}  // NOLINT: as it is

  // Null without one.
  const Tokenizer* get() const { return tokenizer_; }
  // Throws why there is none.
  const Tokenizer& Require() const;
  // Empty without one.
  std::string fingerprint() const;

 private:
  TokenizerOrError() = default;

  std::shared_ptr<const Tokenizer> loaded_;
  const Tokenizer* tokenizer_ = nullptr;
  std::optional<Error> error_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_TOKENIZER_OR_ERROR_H_
