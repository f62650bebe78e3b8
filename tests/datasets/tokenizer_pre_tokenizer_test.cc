#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "datasets/byte_level.h"
#include "datasets/pre_tokenizer.h"
#include "tests/support/expect_error.h"

namespace vernier::datasets {
namespace {

using Words = std::vector<std::string>;

Words PreTokenize(const nlohmann::json& pre_tokenizer, std::string_view text) {
  const nlohmann::json file = {{"pre_tokenizer", pre_tokenizer}};
  return PreTokenizer::FromJson(JsonPart(file, "file")).Apply(text);
}

nlohmann::json SplitAt(const nlohmann::json& pattern, const std::string& behavior,
                       bool invert = false) {
  return {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", invert}};
}

nlohmann::json ByteLevel(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

struct BehaviorCase {
  std::string behavior;
  bool invert;
  Words expected;
};

// Expected values: Python tokenizers 0.23.
TEST(PreTokenizer, SplitBehaviors) {
  const std::vector<BehaviorCase> cases = {
      {"Removed", false, {"the", "final", "countdown"}},
      {"Removed", true, {"-", "-", "-", "-"}},
      {"Isolated", false, {"the", "-", "final", "-", "-", "countdown", "-"}},
      {"Isolated", true, {"the", "-", "final", "-", "-", "countdown", "-"}},
      {"MergedWithPrevious", false, {"the-", "final-", "-", "countdown-"}},
      {"MergedWithPrevious", true, {"the", "-final", "-", "-countdown", "-"}},
      {"MergedWithNext", false, {"the", "-final", "-", "-countdown", "-"}},
      {"MergedWithNext", true, {"the-", "final-", "-", "countdown-"}},
      {"Contiguous", false, {"the", "-", "final", "--", "countdown", "-"}},
      {"Contiguous", true, {"the", "-", "final", "--", "countdown", "-"}},
  };
  for (const BehaviorCase& c : cases) {
    EXPECT_EQ(
        PreTokenize(SplitAt({{"String", "-"}}, c.behavior, c.invert), "the-final--countdown-"),
        c.expected)
        << c.behavior << ' ' << c.invert;
  }
}

TEST(PreTokenizer, SplitStringIsLiteral) {
  EXPECT_EQ(PreTokenize(SplitAt({{"String", "."}}, "Removed"), "a.b"), (Words{"a", "b"}));
}

TEST(PreTokenizer, Digits) {
  const auto digits = [](bool individual) {
    return nlohmann::json{{"type", "Digits"}, {"individual_digits", individual}};
  };
  EXPECT_EQ(PreTokenize(digits(true), "ab12\u00BDc"), (Words{"ab", "1", "2", "\u00BD", "c"}));
  EXPECT_EQ(PreTokenize(digits(false), "ab12\u00BDc"), (Words{"ab", "12\u00BD", "c"}));
}

TEST(PreTokenizer, ByteLevelWithGpt2Pattern) {
  EXPECT_EQ(PreTokenize(ByteLevel(true, true), "Hi you're\n  \u00E912"),
            (Words{"ĠHi", "Ġyou", "'re", "ĊĠ", "ĠÃ©", "12"}));
  EXPECT_EQ(PreTokenize(ByteLevel(false, true), "Hi you"), (Words{"Hi", "Ġyou"}));
}

TEST(PreTokenizer, ByteLevelUsesThePatternUnlessToldNotTo) {
  nlohmann::json byte_level = ByteLevel(false, true);
  byte_level.erase("use_regex");
  EXPECT_EQ(PreTokenize(byte_level, "a b"), (Words{"a", "Ġb"}));
  EXPECT_EQ(PreTokenize(ByteLevel(false, false), "a b"), (Words{"aĠb"}));
}

TEST(PreTokenizer, PrefixSpaceIsNotDoubled) {
  EXPECT_EQ(PreTokenize(ByteLevel(true, false), " a"), (Words{"Ġa"}));
  EXPECT_EQ(PreTokenize(ByteLevel(true, false), "a"), (Words{"Ġa"}));
  EXPECT_EQ(PreTokenize(ByteLevel(true, false), ""), Words{});
}

TEST(PreTokenizer, SequenceAppliesEachStepToTheWordsOfTheOneBefore) {
  const nlohmann::json sequence = {
      {"type", "Sequence"},
      {"pretokenizers",
       {SplitAt({{"Regex", R"(\p{N}{1,3})"}}, "Isolated"),
        SplitAt({{"Regex", R"(\s+(?!\S)|\s+)"}}, "Isolated"), ByteLevel(true, false)}}};
  EXPECT_EQ(PreTokenize(sequence, "12345  x"), (Words{"Ġ123", "Ġ45", "Ġ", "Ġ", "Ġx"}));
}

TEST(PreTokenizer, NullIsOneWord) {
  EXPECT_EQ(PreTokenize(nullptr, "a b"), Words{"a b"});
  EXPECT_EQ(PreTokenize(nullptr, ""), Words{});
}

TEST(PreTokenizer, MetaspaceMarksSpaces) {
  const auto metaspace = [](const char* scheme, bool split) {
    return nlohmann::json{{"type", "Metaspace"},
                          {"replacement", "\u2581"},
                          {"prepend_scheme", scheme},
                          {"split", split}};
  };
  EXPECT_EQ(PreTokenize(metaspace("always", true), "a  b"), (Words{"▁a", "▁", "▁b"}));
  EXPECT_EQ(PreTokenize(metaspace("first", false), "a b"), (Words{"▁a▁b"}));
  EXPECT_EQ(PreTokenize(metaspace("first", false), " a"), (Words{"▁a"})) << "one is enough";
  EXPECT_EQ(PreTokenize(metaspace("never", false), "a b"), (Words{"a▁b"}));
  EXPECT_VERNIER_ERROR(PreTokenize(metaspace("last", false), ""), ErrorCode::kBadTokenizer, "last");
}

TEST(PreTokenizer, RefusesOtherTypesAndBehaviorsByName) {
  for (const char* type : {"Whitespace", "BertPreTokenizer", "UnicodeScripts"}) {
    EXPECT_VERNIER_ERROR(PreTokenize({{"type", type}}, ""), ErrorCode::kBadTokenizer, type);
  }
  EXPECT_VERNIER_ERROR(PreTokenize(SplitAt({{"String", "-"}}, "Doubled"), ""),
                       ErrorCode::kBadTokenizer, "Doubled");
  EXPECT_VERNIER_ERROR(PreTokenize(SplitAt({{"Glob", "-"}}, "Isolated"), ""),
                       ErrorCode::kBadTokenizer, "pre_tokenizer.pattern");
}

TEST(ByteLevel, AlphabetCoversEveryByteAndGoesBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  EXPECT_EQ(AlphabetToBytes(BytesToAlphabet(bytes)), bytes);
  EXPECT_EQ(BytesToAlphabet("! \n\x7F\xAD"), "!ĠĊġŃ");
}

TEST(ByteLevel, TokensOutsideTheAlphabetStandForThemselves) {
  EXPECT_EQ(AlphabetToBytes("Ġ<｜User｜>"), "Ġ<｜User｜>");
  EXPECT_EQ(AlphabetToBytes("a b"), "a b");
}

}  // namespace
}  // namespace vernier::datasets
