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
#include "base/file.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = VERNIER_SOURCE_DIR;

// Which rooms' headers a room may include besides its own.
const std::map<std::string, std::set<std::string>> kMayKnow = {
    {"base", {}},
    {"quantizers", {}},
    {"checkpoint", {"base", "quantizers"}},
    {"datasets", {"base"}},
    {"recipes", {"base", "checkpoint", "datasets"}},
    {"calib/statistics", {"base"}},
    {"run", {"base", "checkpoint", "recipes", "datasets", "calib/statistics"}},
    {"calib/budget", {"base", "checkpoint", "recipes", "datasets", "run"}},
    {"calib",
     {"base", "quantizers", "checkpoint", "recipes", "datasets", "run", "calib/budget",
      "calib/statistics"}},
    {"export", {"base", "quantizers", "checkpoint", "recipes", "run"}},
    {"audit", {"base", "quantizers", "checkpoint", "recipes"}},
    {"report", {"base", "checkpoint", "recipes", "run", "audit"}},
    {"jobs",
     {"base", "quantizers", "checkpoint", "datasets", "recipes", "calib", "calib/budget", "run",
      "export", "audit", "report"}},
    {"api", {"base", "jobs"}},
    {"tools",
     {"base", "quantizers", "checkpoint", "datasets", "recipes", "calib", "calib/budget", "run",
      "export", "audit", "report", "jobs"}},
};

// A room's name is a folder, which may lie in another room.
std::string RoomOf(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  for (std::string room = folder; !room.empty(); room = fs::path(room).parent_path().string()) {
    if (kMayKnow.contains(room)) return room;
  }
  return path.substr(0, path.find('/'));
}

bool IsSource(const fs::path& path) {
  return path.extension() == ".cc" || path.extension() == ".h";
}

std::vector<std::string> SourcesOf(const std::string& folder) {
  std::vector<std::string> sources;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    if (IsSource(entry.path())) sources.push_back(fs::relative(entry.path(), kRoot).string());
  }
  return sources;
}

std::vector<std::string> IncludesOf(const std::string& source) {
  const std::string text = ReadWholeFile(kRoot / source);
  static const std::regex kInclude("(?:^|\n)#include [\"<]([^\">]+)[\">]");
  std::vector<std::string> includes;
  for (std::sregex_iterator it(text.begin(), text.end(), kInclude), end; it != end; ++it) {
    includes.push_back((*it)[1]);
  }
  return includes;
}

std::vector<std::string> AllSources() {
  std::vector<std::string> all;
  for (const auto& [room, known] : kMayKnow) {
    for (std::string& source : SourcesOf(room)) {
      if (RoomOf(source) == room) all.push_back(std::move(source));
    }
  }
  return all;
}

TEST(Architecture, RoomsIncludeOnlyWhatTheyMayKnow) {
  const std::vector<std::string> sources = AllSources();
  ASSERT_GT(sources.size(), 50u) << "the test looks at the wrong tree";
  for (const std::string& source : sources) {
    const std::string room = RoomOf(source);
    for (const std::string& include : IncludesOf(source)) {
      const std::string included = RoomOf(include);
      if (!kMayKnow.contains(included) || included == room) continue;
      EXPECT_TRUE(kMayKnow.at(room).contains(included))
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
    const std::string text = ReadWholeFile(kRoot / source);
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
    EXPECT_THAT(ReadWholeFile(kRoot / source), ::testing::HasSubstr("#ifndef " + guard + "\n"))
        << source;
  }
}

TEST(Architecture, EveryErrorCodeIsUniqueAndDocumented) {
  const std::string documentation = ReadWholeFile(kRoot / "docs/errors.md");
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
    if (!source.starts_with("base/error")) all_text += ReadWholeFile(kRoot / source);
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
    EXPECT_TRUE(fs::exists(kRoot / folder / "README.md")) << folder;
  }
}

}  // namespace
}  // namespace vernier
