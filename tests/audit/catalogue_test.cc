// The catalogue, the documentation and the rules in the source name the same ids.
#include "audit/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <string>

#include "base/file.h"

namespace vernier::audit {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = VERNIER_SOURCE_DIR;

std::set<std::string> Catalogue() {
  std::set<std::string> ids;
  for (const Rule& rule : AllRules()) ids.insert(std::string(rule.id));
  return ids;
}

// Ids as string literals in the folder's sources, but for the catalogue's own.
std::set<std::string> RulesOfSource() {
  static const std::regex kId("\"([BCJSV][0-9]{2})\"");
  std::set<std::string> ids;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "audit")) {
    const fs::path& path = entry.path();
    if (path.extension() != ".cc" || path.filename() == "catalogue.cc") continue;
    const std::string text = ReadWholeFile(path);
    for (std::sregex_iterator it(text.begin(), text.end(), kId), end; it != end; ++it) {
      ids.insert((*it)[1]);
    }
  }
  return ids;
}

TEST(Catalogue, HoldsEveryRuleOfTheSourceAndNoOther) { EXPECT_EQ(Catalogue(), RulesOfSource()); }

TEST(Catalogue, IsSortedWithoutRepetition) {
  EXPECT_TRUE(std::ranges::is_sorted(AllRules(), {}, &Rule::id));
  EXPECT_EQ(Catalogue().size(), AllRules().size());
}

TEST(Catalogue, IsDocumentedWordForWord) {
  const std::string documentation = ReadWholeFile(kRoot / "docs/audit.md");
  for (const Rule& rule : AllRules()) {
    const std::string row = "| " + std::string(rule.id) + " | " + std::string(rule.demands) +
                            " | " + std::string(rule.otherwise) + " |";
    EXPECT_THAT(documentation, ::testing::HasSubstr(row));
  }
}

}  // namespace
}  // namespace vernier::audit
