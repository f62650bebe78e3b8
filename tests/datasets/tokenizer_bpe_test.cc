#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/datasets/letter_tokenizer.h"
#include "tests/support/expect_error.h"

namespace vernier::datasets {
namespace {

using Ids = std::vector<int32_t>;

TEST(Bpe, MergesInOrderOfRankAndFromTheLeft) {
  const Tokenizer tokenizer = ParseTokenizer(LetterTokenizerJson());
  EXPECT_EQ(tokenizer.Encode("abcabaaa x"), (Ids{kAbcId, kAbId, kAaId, 0, kSpaceId, 'x' - 'a'}));
  EXPECT_EQ(tokenizer.Encode(""), Ids{});
}

TEST(Bpe, MergesMayBePairs) {
  nlohmann::json file = LetterTokenizerJson();
  file["model"]["merges"] =
      std::vector<std::vector<std::string>>{{"b", "c"}, {"a", "b"}, {"a", "bc"}};
  EXPECT_EQ(ParseTokenizer(file).Encode("abcab"), (Ids{kAbcId, kAbId}));
}

TEST(Bpe, IgnoreMergesTakesAWholeWordThatIsAToken) {
  nlohmann::json file = LetterTokenizerJson();
  file["model"]["merges"] = {"a b"};
  EXPECT_EQ(ParseTokenizer(file).Encode("abc"), (Ids{kAbId, 2}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(ParseTokenizer(file).Encode("abc"), (Ids{kAbcId}));
  EXPECT_EQ(ParseTokenizer(file).Encode("abcx"), (Ids{kAbId, 2, 'x' - 'a'}));
}

TEST(Bpe, CharactersOutsideTheVocabularyGiveNoId) {
  EXPECT_EQ(ParseTokenizer(LetterTokenizerJson()).Encode("aZb"), (Ids{kAbId}));
}

TEST(Bpe, AMillionLetterWordIsNotQuadratic) {
  const Tokenizer tokenizer = ParseTokenizer(LetterTokenizerJson());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer.Encode(std::string(1'000'000, 'a')), Ids(500'000, kAaId));
  // n log n takes a fraction of a second, n squared over an hour.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes(1));
}

TEST(Bpe, RefusesWhatWouldChangeIdsByName) {
  const std::vector<std::pair<std::string, nlohmann::json>> options = {
      {"unk_token", "not there"},     {"dropout", 0.1},    {"continuing_subword_prefix", "##"},
      {"end_of_word_suffix", "</w>"}, {"type", "Unigram"},
  };
  for (const auto& [key, value] : options) {
    nlohmann::json file = LetterTokenizerJson();
    file["model"][key] = value;
    const std::string named = key == "type" ? "Unigram" : key;
    EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, named);
  }
}

TEST(Bpe, AcceptsOptionsThatSayNothing) {
  nlohmann::json file = LetterTokenizerJson();
  file["model"].update({{"byte_fallback", false},
                        {"unk_token", nullptr},
                        {"dropout", nullptr},
                        {"fuse_unk", false},
                        {"continuing_subword_prefix", ""},
                        {"end_of_word_suffix", nullptr}});
  EXPECT_EQ(ParseTokenizer(file).Encode("ab"), (Ids{kAbId}));
}

TEST(Bpe, CharactersOutsideTheVocabularyAreBytesOrUnknown) {
  nlohmann::json file = LetterTokenizerJson();
  EXPECT_EQ(ParseTokenizer(file).Encode("a##b"), (Ids{kAbId})) << "without either, nothing";
  file["model"]["unk_token"] = "z";
  EXPECT_EQ(ParseTokenizer(file).Encode("a##b"), (Ids{0, 25, 25, 1}));
  file["model"]["fuse_unk"] = true;
  EXPECT_EQ(ParseTokenizer(file).Encode("a##b"), (Ids{0, 25, 1}));
  file["model"]["byte_fallback"] = true;
  EXPECT_EQ(ParseTokenizer(file).Encode("a##b"), (Ids{0, 25, 1})) << "bytes without tokens";
  file["model"]["vocab"]["<0x23>"] = 900;
  EXPECT_EQ(ParseTokenizer(file).Encode("a##b"), (Ids{0, 900, 900, 1}));
}

TEST(Bpe, RefusesBrokenMerges) {
  for (const nlohmann::json& merge :
       std::vector<nlohmann::json>{"ab", "a b c", 7, nlohmann::json::array({"a"}),
                                   nlohmann::json::array({"a", 1}), "a x", "a Z", " a"}) {
    nlohmann::json file = LetterTokenizerJson();
    file["model"]["merges"].push_back(merge);
    EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, "merges: entry 4");
  }
}

TEST(Bpe, RefusesBrokenVocabularies) {
  for (const nlohmann::json& id :
       std::vector<nlohmann::json>{-1, 1.5, "1", nullptr, 2147483647, kAaId}) {
    nlohmann::json file = LetterTokenizerJson();
    file["model"]["vocab"]["zz"] = id;
    EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, "\"zz\"");
  }
}

}  // namespace
}  // namespace vernier::datasets
