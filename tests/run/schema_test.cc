// The SQL of one table is written in one file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "base/file.h"
#include "run/sqlite.h"
#include "run/store.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

namespace fs = std::filesystem;

const fs::path kRoom = fs::path(VERNIER_SOURCE_DIR) / "run";

std::set<std::string> TableNames() {
  const testing::TempDir dir;
  const Store store = Store::Open(dir.path() / "run");
  std::set<std::string> names;
  Statement rows = store.database().Prepare("SELECT name FROM sqlite_schema WHERE type = 'table'");
  while (rows.Step()) names.insert(rows.Text(0));
  return names;
}

// The files that name a table where SQL names one.
std::map<std::string, std::set<std::string>> FilesByTable() {
  static const std::regex kTable("(?:FROM|INTO|UPDATE|JOIN|CREATE TABLE) ([a-z_]+)");
  std::map<std::string, std::set<std::string>> files;
  for (const auto& entry : fs::directory_iterator(kRoom)) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = ReadWholeFile(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), kTable), end; it != end; ++it) {
      files[(*it)[1]].insert(entry.path().filename().string());
    }
  }
  return files;
}

TEST(Schema, EveryTableIsOneFilesBusiness) {
  const std::map<std::string, std::set<std::string>> files = FilesByTable();
  for (const std::string& table : TableNames()) {
    ASSERT_TRUE(files.contains(table)) << table;
    std::set<std::string> users = files.at(table);
    users.erase("migration.cc");  // reads tables as another version had them
    EXPECT_THAT(users, ::testing::SizeIs(1)) << table;
  }
}

}  // namespace
}  // namespace vernier::run
