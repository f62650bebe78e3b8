#include "datasets/tokenizer_or_error.h"

namespace vernier::datasets {

TokenizerOrError TokenizerOrError::Load(const std::filesystem::path& directory) {
  TokenizerOrError result;
  try {
    result.loaded_ = std::make_shared<const Tokenizer>(Tokenizer::Load(directory));
    result.tokenizer_ = result.loaded_.get();
  } catch (const Error& error) {
    result.error_ = error;
  }
  return result;
}

const Tokenizer& TokenizerOrError::Require() const {
  if (tokenizer_ == nullptr) throw Error(*error_);
  return *tokenizer_;
}

std::string TokenizerOrError::fingerprint() const {
  return tokenizer_ == nullptr ? std::string() : tokenizer_->fingerprint();
}

}  // namespace vernier::datasets
