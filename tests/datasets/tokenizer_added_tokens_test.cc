#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/datasets/letter_tokenizer.h"
#include "tests/support/expect_error.h"

namespace vernier::datasets {
namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t kFirst = kFirstAddedId;
constexpr int32_t kX = 'x' - 'a';

nlohmann::json WithAdded(const std::vector<nlohmann::json>& added_tokens) {
  nlohmann::json file = LetterTokenizerJson();
  file["added_tokens"] = added_tokens;
  return file;
}

Ids EncodeWith(const std::vector<nlohmann::json>& added_tokens, std::string_view text) {
  return ParseTokenizer(WithAdded(added_tokens)).Encode(text);
}

Ids EncodeWithFlag(const std::string& flag, std::string_view text) {
  return EncodeWith({AddedTokenJson(kFirst, "[x]", {flag})}, text);
}

Ids EncodeLowercased(const std::vector<nlohmann::json>& added_tokens, std::string_view text) {
  nlohmann::json file = WithAdded(added_tokens);
  file["normalizer"] = {{"type", "Lowercase"}};
  return ParseTokenizer(file).Encode(text);
}

// Expected values: Python tokenizers 0.23 with the same file.
TEST(AddedTokens, TheLeftmostAndThenTheLongestWins) {
  EXPECT_EQ(EncodeWith({AddedTokenJson(kFirst, "<a"), AddedTokenJson(kFirst + 1, "<ab>"),
                        AddedTokenJson(kFirst + 2, "<a>")},
                       "<a><ab>"),
            (Ids{kFirst + 2, kFirst + 1}));
  EXPECT_EQ(EncodeWith({AddedTokenJson(kFirst, "yz"), AddedTokenJson(kFirst + 1, "xy")}, "xyzab"),
            (Ids{kFirst + 1, 'z' - 'a', kAbId}));
}

TEST(AddedTokens, NoMergeCrossesThem) {
  EXPECT_EQ(EncodeWith({AddedTokenJson(kFirst, "-")}, "a-b-"), (Ids{0, kFirst, 1, kFirst}));
}

TEST(AddedTokens, SingleWordStandsAlone) {
  const std::string flag = "single_word";
  EXPECT_EQ(EncodeWithFlag(flag, "ab [x] ab"), (Ids{kAbId, kSpaceId, kFirst, kSpaceId, kAbId}));
  EXPECT_EQ(EncodeWithFlag(flag, "[x]"), (Ids{kFirst}));
  EXPECT_EQ(EncodeWithFlag(flag, "a[x]b"), (Ids{0, kX, 1}));
  EXPECT_EQ(EncodeWithFlag(flag, "a [x]b"), (Ids{0, kSpaceId, kX, 1}));
  EXPECT_EQ(EncodeWithFlag(flag, "a[x] b"), (Ids{0, kX, kSpaceId, 1}));
}

TEST(AddedTokens, SingleWordKnowsUnicodesWordCharacters) {
  EXPECT_EQ(EncodeWithFlag("single_word", "\u00E9[x]"), (Ids{kX}));
  EXPECT_EQ(EncodeWithFlag("single_word", "\u200D[x]"), (Ids{kX}));
  EXPECT_EQ(EncodeWithFlag("single_word", "_[x]"), (Ids{kX}));
  EXPECT_EQ(EncodeWithFlag("single_word", "\u00B2[x]"), (Ids{kFirst}));
}

TEST(AddedTokens, StripsTakeTheWhiteSpaceOnTheirSide) {
  EXPECT_EQ(EncodeWithFlag("lstrip", "a \n [x] b"), (Ids{0, kFirst, kSpaceId, 1}));
  EXPECT_EQ(EncodeWithFlag("rstrip", "a [x] \n b"), (Ids{0, kSpaceId, kFirst, 1}));
  EXPECT_EQ(EncodeWith({AddedTokenJson(kFirst, "[x]", {"lstrip", "rstrip"})}, "a [x] [x] b"),
            (Ids{0, kFirst, kFirst, 1}));
}

TEST(AddedTokens, StrippedSpaceMayStillBeATokenItself) {
  EXPECT_EQ(EncodeWith({AddedTokenJson(kFirst, "[x]", {"rstrip"}), AddedTokenJson(kFirst + 1, " ")},
                       "a[x]  b"),
            (Ids{0, kFirst, kFirst + 1, kFirst + 1, 1}));
}

TEST(AddedTokens, NormalizedOnesAreFoundInTheNormalizedText) {
  const nlohmann::json token = AddedTokenJson(kFirst, "AX", {"normalized"});
  EXPECT_EQ(EncodeLowercased({token}, "AXa"), (Ids{kFirst, 0}));
  EXPECT_EQ(EncodeLowercased({token}, "axa"), (Ids{kFirst, 0}));
}

TEST(AddedTokens, OthersAreFoundInTheTextAsGiven) {
  EXPECT_EQ(EncodeLowercased({AddedTokenJson(kFirst, "AX")}, "axaAX"), (Ids{0, kX, 0, kFirst}));
}

TEST(AddedTokens, SpecialOnesComeFirstAmongEqualNormalizedOnes) {
  EXPECT_EQ(EncodeLowercased({AddedTokenJson(kFirst, "AX", {"normalized"}),
                              AddedTokenJson(kFirst + 1, "ax", {"normalized", "special"})},
                             "ax"),
            (Ids{kFirst + 1}));
}

TEST(AddedTokens, NormalizerAndPrefixSpaceApplyToEachStretchOfText) {
  nlohmann::json file = WithAdded({AddedTokenJson(kFirst, "[x]")});
  file["normalizer"] = {{"type", "Prepend"}, {"prepend", "c"}};
  EXPECT_EQ(ParseTokenizer(file).Encode("ab[x]ab"), (Ids{2, kAbId, kFirst, 2, kAbId}));
  file["normalizer"] = nullptr;
  file["pre_tokenizer"]["add_prefix_space"] = true;
  EXPECT_EQ(ParseTokenizer(file).Encode("ab[x]ab"),
            (Ids{kSpaceId, kAbId, kFirst, kSpaceId, kAbId}));
}

TEST(AddedTokens, MayBeTokensOfTheVocabulary) {
  EXPECT_EQ(EncodeWith({AddedTokenJson(kAbcId, "abc")}, "xabcx"), (Ids{kX, kAbcId, kX}));
}

TEST(AddedTokens, CountInTheVocabularySizeAndDecode) {
  const Tokenizer tokenizer = ParseTokenizer(WithAdded({AddedTokenJson(kFirst, "<｜x｜>")}));
  EXPECT_EQ(tokenizer.vocab_size(), kFirst + 1);
  EXPECT_EQ(tokenizer.TokenId("<｜x｜>"), kFirst);
  EXPECT_EQ(tokenizer.TokenId("abc"), kAbcId);
  EXPECT_EQ(tokenizer.TokenId("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer.Decode(Ids{kAbId, kSpaceId, kFirst}), "ab <｜x｜>");
}

TEST(AddedTokens, RefusesIdsThatTheLibraryWouldNotGive) {
  EXPECT_VERNIER_ERROR(EncodeWith({AddedTokenJson(kFirst + 5, "[x]")}, ""),
                       ErrorCode::kBadTokenizer, "added_tokens[0]");
  EXPECT_VERNIER_ERROR(EncodeWith({AddedTokenJson(kFirst, "ab")}, ""), ErrorCode::kBadTokenizer,
                       "\"ab\"");
}

TEST(AddedTokens, RefusesRepetitionsAndMissingFields) {
  EXPECT_VERNIER_ERROR(
      EncodeWith({AddedTokenJson(kFirst, "[x]"), AddedTokenJson(kFirst + 1, "[x]")}, ""),
      ErrorCode::kBadTokenizer, "repeats \"[x]\"");
  nlohmann::json token = AddedTokenJson(kFirst, "[x]");
  token.erase("lstrip");
  EXPECT_VERNIER_ERROR(EncodeWith({token}, ""), ErrorCode::kBadTokenizer, "lstrip");
  token = AddedTokenJson(-1, "[x]");
  EXPECT_VERNIER_ERROR(EncodeWith({token}, ""), ErrorCode::kBadTokenizer, "\"id\"");
}

TEST(AddedTokens, RefusesOnesThatTheNormalizerRemoves) {
  nlohmann::json file = WithAdded({AddedTokenJson(kFirst, " ", {"normalized"})});
  file["normalizer"] = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}};
  EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, "leaves nothing");
}

}  // namespace
}  // namespace vernier::datasets
