#include "tests/datasets/letter_tokenizer.h"

namespace vernier::datasets {

nlohmann::json LetterTokenizerJson() {
  nlohmann::json vocabulary = {{"Ġ", kSpaceId}, {"ab", kAbId},      {"abc", kAbcId},
                               {"bc", kBcId},   {"Ċ", kLineFeedId}, {"aa", kAaId}};
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary[std::string(1, letter)] = letter - 'a';
  }
  const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                     {"add_prefix_space", false},
                                     {"trim_offsets", true},
                                     {"use_regex", false}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", nlohmann::json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"b c", "a b", "a bc", "a a"}}}}};
}

nlohmann::json AddedTokenJson(int id, const std::string& content,
                              const std::vector<std::string>& flags) {
  nlohmann::json token = {{"id", id}, {"content", content}};
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
    token[flag] = false;
  }
  for (const std::string& flag : flags) token[flag] = true;
  return token;
}

Tokenizer ParseTokenizer(const nlohmann::json& tokenizer_json) {
  return Tokenizer::Parse(tokenizer_json.dump(), "", "letters");
}

}  // namespace vernier::datasets
