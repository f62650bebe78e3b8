// What tests of tests/data/tokenizers share.
#ifndef VERNIER_TESTS_DATASETS_GOLDEN_TOKENIZER_H_
#define VERNIER_TESTS_DATASETS_GOLDEN_TOKENIZER_H_

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {

using Ids = std::vector<int32_t>;

// tests/data/tokenizers/NAME
std::filesystem::path GoldenPath(std::string_view name);
nlohmann::json ReadTokenizerJson(std::string_view name);

// The tokenizer of the folder `name`, whose tokenizer.json leaves out the vocabulary and the merges
// that `model_of`'s has.
Tokenizer LoadSpliced(std::string_view name, std::string_view model_of);

// The row's text with the tokens around it, as documents are encoded.
Ids EncodeWithSpecialTokens(const Tokenizer& tokenizer, const Json& row);

// What the library makes of the row, less a BOS or EOS that it puts beside the text's own.
Ids WithoutDoubledSpecialTokens(const Tokenizer& tokenizer, const Json& row);

// Fails unless the library puts the tokenizer's prefix and suffix around the ids of the text alone,
// whatever these are.
void ExpectLibraryAddsPrefixAndSuffix(const Tokenizer& tokenizer, const Json& row);

}  // namespace vernier::datasets

#endif  // VERNIER_TESTS_DATASETS_GOLDEN_TOKENIZER_H_
