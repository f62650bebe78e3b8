// What one more option, statistic, subcommand, rule or family costs: in how many rooms the name of
// one that exists is spelled. Each axis has its room, and everybody else asks its table; a name
// that appears in one more room is a switch that the next variant must not forget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "audit/catalogue.h"
#include "calib/statistics/registry.h"
#include "checkpoint/families/family.h"
#include "tests/architecture/rooms.h"
#include "tools/command.h"
#include "tools/options.h"

namespace vernier {
namespace {

struct Axis {
  std::string name;
  std::vector<std::string> variants;
  // Rooms that spell the variant which the most rooms spell. Lower it when that falls; do not raise
  // it: ask the table instead.
  size_t rooms = 0;
};

std::vector<std::string> Flags() {
  std::vector<std::string> flags;
  for (const recipes::Option& option : tools::Options()) {
    if (option.IsFlag()) flags.push_back(option.name);
  }
  return flags;
}

template <typename Rows, typename Name>
std::vector<std::string> NamesOf(const Rows& rows, Name name) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(row.*name);
  return names;
}

std::vector<Axis> Axes() {
  return {{"option", Flags(), 3},
          {"statistic", NamesOf(statistics::AllStatistics(), &statistics::Statistic::name), 3},
          {"subcommand", NamesOf(tools::Commands(), &tools::Command::name), 0},
          {"rule", NamesOf(audit::AllRules(), &audit::Rule::id), 1},
          {"family", checkpoint::KnownModelTypes(), 4}};
}

// The code of a room without its comments.
std::string CodeOf(const std::string& source) {
  static const std::regex kComment("//[^\n]*");
  return std::regex_replace(testing::TextOf(source), kComment, "");
}

class ExtensionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const std::string& source : testing::AllSources()) {
      code_[testing::RoomOf(source)] += CodeOf(source);
    }
  }

  static std::set<std::string> RoomsThatSpell(const std::string& name) {
    std::set<std::string> rooms;
    for (const auto& [room, code] : code_) {
      if (code.find('"' + name + '"') != std::string::npos) rooms.insert(room);
    }
    return rooms;
  }

  inline static std::map<std::string, std::string> code_;
};

TEST_F(ExtensionTest, OneMoreVariantTouchesNoMoreRoomsThanBefore) {
  for (const Axis& axis : Axes()) {
    ASSERT_FALSE(axis.variants.empty()) << axis.name;
    size_t most = 0;
    for (const std::string& variant : axis.variants) {
      const std::set<std::string> rooms = RoomsThatSpell(variant);
      EXPECT_FALSE(rooms.empty()) << axis.name << " " << variant << " is spelled nowhere";
      EXPECT_LE(rooms.size(), axis.rooms) << "the " << axis.name << " \"" << variant
                                          << "\" is spelled in " << ::testing::PrintToString(rooms);
      most = std::max(most, rooms.size());
    }
    EXPECT_EQ(most, axis.rooms) << "an " << axis.name
                                << " touches fewer rooms now: lower its number";
  }
}

}  // namespace
}  // namespace vernier
