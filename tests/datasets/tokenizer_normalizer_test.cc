#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "datasets/normalizer.h"
#include "tests/support/expect_error.h"

namespace vernier::datasets {
namespace {

// e + acute, the ligature fi, I with dot, Sigma, an ideographic space at the end.
constexpr std::string_view kText = " e\u0301\uFB01 \u0130\u03A3 a.ab\u3000";

std::string Normalize(const nlohmann::json& normalizer, std::string_view text) {
  const nlohmann::json file = {{"normalizer", normalizer}};
  return Normalizer::FromJson(JsonPart(file, "file")).Apply(text);
}

nlohmann::json Replace(const nlohmann::json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

// Expected values: Python tokenizers 0.23.
TEST(Normalizer, UnicodeForms) {
  EXPECT_EQ(Normalize({{"type", "NFC"}}, kText), " \u00E9\uFB01 \u0130\u03A3 a.ab\u3000");
  EXPECT_EQ(Normalize({{"type", "NFD"}}, kText), " e\u0301\uFB01 I\u0307\u03A3 a.ab\u3000");
  EXPECT_EQ(Normalize({{"type", "NFKC"}}, kText), " \u00E9fi \u0130\u03A3 a.ab ");
  EXPECT_EQ(Normalize({{"type", "NFKD"}}, kText), " e\u0301fi I\u0307\u03A3 a.ab ");
}

TEST(Normalizer, UnicodeFormsKeepNulBytes) {
  const std::string text("a\0e\xCC\x81", 5);
  EXPECT_EQ(Normalize({{"type", "NFC"}}, text), std::string("a\0\xC3\xA9", 4));
}

TEST(Normalizer, LowercaseTakesEachCodePointByItself) {
  EXPECT_EQ(Normalize({{"type", "Lowercase"}}, kText), " e\u0301\uFB01 i\u0307\u03C3 a.ab\u3000");
}

TEST(Normalizer, StripTakesUnicodeWhiteSpaceFromTheSideAsked) {
  const auto strip = [](bool left, bool right) {
    return nlohmann::json{{"type", "Strip"}, {"strip_left", left}, {"strip_right", right}};
  };
  EXPECT_EQ(Normalize(strip(true, false), " \u00A0a \u3000"), "a \u3000");
  EXPECT_EQ(Normalize(strip(false, true), " \u00A0a \u3000"), " \u00A0a");
  EXPECT_EQ(Normalize(strip(true, true), " \u2028 "), "");
  EXPECT_EQ(Normalize(strip(true, true), "\u180Ea\u180E"), "\u180Ea\u180E");
}

TEST(Normalizer, PrependLeavesAnEmptyTextAlone) {
  const nlohmann::json prepend = {{"type", "Prepend"}, {"prepend", "_"}};
  EXPECT_EQ(Normalize(prepend, "ab"), "_ab");
  EXPECT_EQ(Normalize(prepend, ""), "");
}

TEST(Normalizer, ReplaceIsLiteralInStringAndContent) {
  EXPECT_EQ(Normalize(Replace({{"String", "a."}}, "X"), "a.ab"), "Xab");
  EXPECT_EQ(Normalize(Replace({{"Regex", "a."}}, "$0"), "a.ab"), "$0$0");
}

TEST(Normalizer, ReplaceOfEmptyMatches) {
  EXPECT_EQ(Normalize(Replace({{"Regex", "b*"}}, "-"), "\u0130ab "), "-\u0130-a- -");
  EXPECT_EQ(Normalize(Replace({{"String", ""}}, "-"), "\u00E9b"), "-\u00E9-b-");
  EXPECT_EQ(Normalize(Replace({{"String", ""}}, "-"), ""), "");
}

TEST(Normalizer, SequencesRunInOrderAndNest) {
  const nlohmann::json inner = {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}};
  const nlohmann::json outer = {
      {"type", "Sequence"},
      {"normalizers", {Replace({{"String", "B"}}, "CC"), inner, Replace({{"String", "c"}}, "x")}}};
  EXPECT_EQ(Normalize(outer, "aBC"), "axxx");
}

TEST(Normalizer, NullAndEmptySequenceDoNothing) {
  EXPECT_EQ(Normalize(nullptr, kText), kText);
  EXPECT_EQ(Normalize({{"type", "Sequence"}, {"normalizers", nlohmann::json::array()}}, kText),
            kText);
}

TEST(Normalizer, RefusesOtherTypesByName) {
  for (const char* type : {"BertNormalizer", "StripAccents", "Precompiled", "ByteLevel", "Nmt"}) {
    EXPECT_VERNIER_ERROR(Normalize({{"type", type}}, ""), ErrorCode::kBadTokenizer, type);
  }
}

TEST(Normalizer, RefusesBottomlessSequences) {
  nlohmann::json nested = {{"type", "NFC"}};
  for (int depth = 0; depth < 1000; ++depth) {
    nested = {{"type", "Sequence"}, {"normalizers", nlohmann::json::array({nested})}};
  }
  EXPECT_VERNIER_ERROR(Normalize(nested, ""), ErrorCode::kBadTokenizer, "nesting");
}

TEST(Normalizer, RefusesExplosiveReplacements) {
  nlohmann::json steps = nlohmann::json::array();
  for (int i = 0; i < 40; ++i) steps.push_back(Replace({{"String", "a"}}, "aaaaaaaa"));
  const nlohmann::json sequence = {{"type", "Sequence"}, {"normalizers", steps}};
  EXPECT_VERNIER_ERROR(Normalize(sequence, "a"), ErrorCode::kBadTokenizer, "bytes of text became");
}

}  // namespace
}  // namespace vernier::datasets
