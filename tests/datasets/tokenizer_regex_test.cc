// Patterns mean what they mean in Oniguruma, where PCRE2 by itself would differ.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "datasets/regex.h"
#include "datasets/regex_dialect.h"
#include "tests/support/expect_error.h"

namespace vernier::datasets {
namespace {

Regex Compile(std::string_view pattern) {
  static const nlohmann::json kNothing;
  return Regex::Compile(pattern, JsonPart(kNothing, "file"));
}

std::vector<std::string> Matches(std::string_view pattern, const std::string& text) {
  std::vector<std::string> found;
  for (const Span& span : Compile(pattern).FindAll(text)) {
    found.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}

using Strings = std::vector<std::string>;

TEST(Regex, WhiteSpaceIsUnicodesProperty) {
  EXPECT_EQ(Matches(R"(\s+)", "a\u180Eb\u3000\u0085\u2028c\x1F"), (Strings{"\u3000\u0085\u2028"}));
  EXPECT_EQ(Matches(R"([^\S])", "a\u180Eb\u3000c"), (Strings{"\u3000"}));
  EXPECT_EQ(Matches(R"([^\sa]+)", "a\u180Eb c"), (Strings{"\u180Eb", "c"}));
  EXPECT_EQ(Matches(R"([\s-]+)", "a - b"), (Strings{" - "}));
}

TEST(Regex, WordCharactersIncludeMarksAndNumbers) {
  EXPECT_EQ(Matches(R"(\w+)", "a\u00B2_\u24D0\u0301-\u200D"), (Strings{"a\u00B2_\u24D0\u0301"}));
  EXPECT_EQ(Matches(R"(\bfoo\b)", "foo foox \u0301foo foo"), (Strings{"foo", "foo"}));
  EXPECT_EQ(Matches(R"(o\B)", "foo"), (Strings{"o"}));
  EXPECT_EQ(Matches(R"(\W)", "a-b"), (Strings{"-"}));
}

TEST(Regex, EscapesOfOnigurumaOnly) {
  EXPECT_EQ(Matches(R"([\h]+)", "xyzCAFE "), (Strings{"CAFE"}));
  EXPECT_EQ(Matches(R"(\H)", "a-"), (Strings{"-"}));
  EXPECT_EQ(Matches(R"(\u00e9|\x41|\x{1F600})", "A\u00E9\U0001F600"),
            (Strings{"A", "\u00E9", "\U0001F600"}));
  EXPECT_EQ(Matches(R"(\v)", "\n\v"), (Strings{"\v"}));
}

TEST(Regex, AnchorsMatchAtEveryLine) {
  EXPECT_EQ(Matches("^a", "ab\nab\rab"), (Strings{"a", "a"}));
  EXPECT_EQ(Matches(R"(\s+$)", "a \nb  "), (Strings{" ", "  "}));
}

TEST(Regex, CaseFoldsBeyondAscii) {
  EXPECT_EQ(Matches("(?i:'s|'t)", "'S'\u017F'x"), (Strings{"'S", "'\u017F"}));
  EXPECT_EQ(Matches("(?i)ab", "AB"), (Strings{"AB"}));
}

TEST(Regex, EmptyMatchesDoNotFollowAMatch) {
  std::vector<size_t> ends;
  for (const Span& span : Compile("b*").FindAll("\u00E9b")) ends.push_back(span.end);
  EXPECT_EQ(ends, (std::vector<size_t>{0, 3}));
  EXPECT_TRUE(Compile("b*").FindAll("").empty());
}

TEST(Regex, WhatOnlyOnigurumaHasIsRefusedByName) {
  for (const char* pattern :
       {"[a[bc]]", "[a&&b]", "[[:alpha:]]", "(?m:.)",    "(?x)a",   "a(?i)b|c",
        R"(\G)",   R"(\K)",  R"([\W])",     R"([\H])",   R"(\xC3)", "a{,3}",
        "a{2}+",   "a{2}?",  R"((a)\1)",    "(*ACCEPT)", R"(\pL)",  R"(\x{61 62})",
        R"(\u12)", "[]a]",   "[a",          "a\\"}) {
    EXPECT_VERNIER_ERROR(Compile(pattern), ErrorCode::kBadTokenizer, pattern);
  }
}

TEST(Regex, WhatNeitherCompilesIsRefused) {
  for (const char* pattern : {"(", "a{3,2}", R"(\p{Klingon})", "[b-a]", "(?<=a+)b", "*"}) {
    EXPECT_VERNIER_ERROR(Compile(pattern), ErrorCode::kBadTokenizer, pattern);
  }
}

TEST(Regex, GivingUpIsAnError) {
  EXPECT_VERNIER_ERROR(Compile("(a+a+)+[bc]").FindAll(std::string(64, 'a')),
                       ErrorCode::kBadTokenizer, "(a+a+)+[bc]");
}

TEST(Regex, LongMatchesFitWithoutTheCompiledMatchersStack) {
  const std::string text(1 << 17, 'a');
  const std::vector<Span> matches = Compile("(?:a|(?=b)c)+").FindAll(text);
  ASSERT_EQ(matches.size(), 1u);
  EXPECT_EQ(matches[0].end, text.size());
}

}  // namespace
}  // namespace vernier::datasets
