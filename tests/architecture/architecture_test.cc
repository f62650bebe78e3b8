// Holds the source tree to its own rules: which folder may include which, the torch boundary, and
// the list of error codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/architecture/rooms.h"

namespace vernier {
namespace {

using testing::AllSources;
using testing::IncludesOf;
using testing::MayKnow;
using testing::RoomOf;
using testing::SourceRoot;
using testing::TextOf;

TEST(Architecture, RoomsIncludeOnlyWhatTheyMayKnow) {
  const std::vector<std::string> sources = AllSources();
  ASSERT_GT(sources.size(), 50u) << "the test looks at the wrong tree";
  for (const std::string& source : sources) {
    const std::string room = RoomOf(source);
    for (const std::string& include : IncludesOf(source)) {
      const std::string included = RoomOf(include);
      if (!MayKnow().contains(included) || included == room) continue;
      EXPECT_TRUE(MayKnow().at(room).contains(included))
          << source << " includes " << include << ": " << room << " may not know " << included;
    }
  }
}

TEST(Architecture, TorchLivesInCalibAlone) {
  for (const std::string& source : AllSources()) {
    if (RoomOf(source) == "calib") continue;
    for (const std::string& include : IncludesOf(source)) {
      EXPECT_FALSE(include.starts_with("torch/") || include.starts_with("ATen/") ||
                   include.starts_with("c10/"))
          << source << " includes " << include;
    }
  }
}

// Whoever uses the rooms as a library decides what is printed and where options come from.
TEST(Architecture, OnlyToolsPrintAndParse) {
  static const std::regex kPrints(
      "fmt::print|printf\\(|std::(cout|cerr|puts)|\\bstd(out|err)\\b|char\\*\\* argv|CLI::");
  for (const std::string& source : AllSources()) {
    if (RoomOf(source) == "tools") continue;
    const std::string text = TextOf(source);
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, kPrints)) << source << " has " << found.str();
  }
}

TEST(Architecture, HeadersAreGuardedByTheirPath) {
  for (const std::string& source : AllSources()) {
    if (!source.ends_with(".h")) continue;
    std::string guard = "VERNIER_" + source + "_";
    std::ranges::transform(guard, guard.begin(), [](unsigned char c) {
      return std::isalnum(c) ? static_cast<char>(std::toupper(c)) : '_';
    });
    EXPECT_THAT(TextOf(source), ::testing::HasSubstr("#ifndef " + guard + "\n")) << source;
  }
}

TEST(Architecture, EveryErrorCodeIsUniqueAndDocumented) {
  const std::string documentation = TextOf("docs/errors.md");
  std::set<std::string_view> seen;
#define VERNIER_ERROR(enumerator, code, summary)                            \
  EXPECT_TRUE(seen.insert(CodeName(ErrorCode::enumerator)).second) << code; \
  EXPECT_THAT(documentation, ::testing::HasSubstr(code " | " summary)) << #enumerator;
#include "base/error_codes.def"
#undef VERNIER_ERROR
}

TEST(Architecture, EveryErrorCodeIsThrownSomewhere) {
  std::string all_text;
  for (const std::string& source : AllSources()) {
    if (!source.starts_with("base/error")) all_text += TextOf(source);
  }
#define VERNIER_ERROR(enumerator, code, summary) \
  EXPECT_NE(all_text.find("ErrorCode::" #enumerator), std::string::npos) << code;
#include "base/error_codes.def"
#undef VERNIER_ERROR
}

TEST(Architecture, EveryTopLevelFolderHasAReadme) {
  for (const char* folder :
       {"api", "audit", "base", "calib", "checkpoint", "datasets", "docs", "examples", "export",
        "jobs", "quantizers", "recipes", "report", "run", "tests", "tools"}) {
    EXPECT_TRUE(std::filesystem::exists(SourceRoot() / folder / "README.md")) << folder;
  }
}

}  // namespace
}  // namespace vernier
