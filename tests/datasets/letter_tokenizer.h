// A tokenizer small enough to know its ids by heart, for tests that change one part of it.
#ifndef VERNIER_TESTS_DATASETS_LETTER_TOKENIZER_H_
#define VERNIER_TESTS_DATASETS_LETTER_TOKENIZER_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "datasets/tokenizer.h"

namespace vernier::datasets {

// Ids of the letter tokenizer; "a" to "z" are 0 to 25.
inline constexpr int kSpaceId = 26;
inline constexpr int kAbId = 27;
inline constexpr int kAbcId = 28;
inline constexpr int kBcId = 29;
inline constexpr int kLineFeedId = 30;
inline constexpr int kAaId = 31;
inline constexpr int kFirstAddedId = 32;

// tokenizer.json: merges "b c", "a b", "a bc", "a a" in this order, ByteLevel without a pattern.
nlohmann::json LetterTokenizerJson();

// An entry of "added_tokens" without flags; `flags` are the names of those that are true.
nlohmann::json AddedTokenJson(int id, const std::string& content,
                              const std::vector<std::string>& flags = {});

Tokenizer ParseTokenizer(const nlohmann::json& tokenizer_json);

}  // namespace vernier::datasets

#endif  // VERNIER_TESTS_DATASETS_LETTER_TOKENIZER_H_
