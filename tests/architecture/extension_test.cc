// What one more option, statistic, subcommand, rule, family or container costs: in how many rooms
// the name of one that exists is spelled, of a container its files' extension. Each axis has its
// room, and everybody else asks its table; a name that appears in one more room is a switch that
// the next variant must not forget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "audit/catalogue.h"
#include "calib/statistics/registry.h"
#include "checkpoint/containers/registry.h"
#include "checkpoint/families/family.h"
#include "checkpoint/formats/codec.h"
#include "tests/architecture/rooms.h"
#include "tools/command.h"
#include "tools/options.h"

namespace vernier {
namespace {

struct Axis {
  std::string name;
  std::vector<std::string> variants;
  // Rooms that spell a variant: the usual one (median), and the one that the most rooms spell; some
  // names are common words, such as that of a phase. Lower them when they fall; do not raise them:
  // ask the table instead.
  size_t usual = 0, most = 0;
  bool quoted = true;  // names are text; otherwise identifiers
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

std::vector<std::string> Extensions() {
  std::vector<std::string> extensions;
  for (const checkpoint::Container* container : checkpoint::AllContainers()) {
    extensions.emplace_back(container->extension());
  }
  return extensions;
}

// But those that are the names of something else too: "bf16" of arithmetic, "fp8" and "nvfp4" of a
// cache.
std::vector<std::string> FormatsWritten() {
  std::vector<std::string> names;
  for (const checkpoint::Codec* codec : checkpoint::Codecs()) {
    const bool ambiguous =
        codec->target == "bf16" || codec->target == "fp8" || codec->target == "nvfp4";
    if (codec->written() && !ambiguous) names.emplace_back(codec->target);
  }
  return names;
}

std::vector<Axis> Axes() {
  return {{"option", Flags(), 1, 3},
          {"statistic", NamesOf(statistics::AllStatistics(), &statistics::Statistic::name), 1, 3},
          {"subcommand", NamesOf(tools::Commands(), &tools::Command::name), 3, 5},
          {"rule", NamesOf(audit::AllRules(), &audit::Rule::id), 1, 1},
          {"family", checkpoint::KnownModelTypes(), 1, 2},
          {"container", Extensions(), 1, 1},
          {"format", FormatsWritten(), 1, 2},
          // NVFP4 is not among them: GPTQ, folds and budgets are about it.
          {"format's codec",
           {"formats::kMxfp4", "formats::kMxfp8", "formats::kFp8Tensor", "formats::kFp8Channel",
            "formats::kFp8Block", "formats::kInt4"},
           2,
           5,
           false},
          {"dialect's row", {"kCompressedTensors", "kNative"}, 2, 4, false}};
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
      sources_[source] = CodeOf(source);
      code_[testing::RoomOf(source)] += sources_[source];
    }
  }

  static std::set<std::string> RoomsThatSpell(const std::string& name, bool quoted) {
    const std::string text = quoted ? '"' + name + '"' : name;
    std::set<std::string> rooms;
    for (const auto& [room, code] : code_) {
      if (code.find(text) != std::string::npos) rooms.insert(room);
    }
    return rooms;
  }

  inline static std::map<std::string, std::string> code_;     // of rooms
  inline static std::map<std::string, std::string> sources_;  // of files
};

TEST_F(ExtensionTest, OneMoreVariantTouchesNoMoreRoomsThanBefore) {
  for (const Axis& axis : Axes()) {
    std::vector<size_t> counts;
    for (const std::string& variant : axis.variants) {
      const std::set<std::string> rooms = RoomsThatSpell(variant, axis.quoted);
      EXPECT_FALSE(rooms.empty()) << axis.name << " " << variant << " is spelled nowhere";
      EXPECT_LE(rooms.size(), axis.most)
          << "the " << axis.name << " \"" << variant << "\": " << ::testing::PrintToString(rooms);
      counts.push_back(rooms.size());
    }
    ASSERT_FALSE(counts.empty()) << axis.name;
    std::ranges::sort(counts);
    EXPECT_EQ(counts[(counts.size() - 1) / 2], axis.usual) << "rooms of the usual " << axis.name;
    EXPECT_EQ(counts.back(), axis.most) << "rooms of the most spelled " << axis.name;
  }
}

// A family is a file and its rows, with and without a tower, and may be the text model of another;
// one whose forward pass is not made of blocks has a row of a decoder too. Everybody else asks the
// family (Family::Facts), whatever the model is called, but for tables of what engines do with it.
TEST_F(ExtensionTest, AFamilyIsSpelledInItsFileAndItsRows) {
  const std::set<std::string> rows = {"calib/families/decoder_rows.cc"};
  // llama.cpp calls kinds of tokenizers so, and engines' code has facts about single models.
  const std::set<std::string> namesakes = {"checkpoint/containers/gguf_tokenizer.cc",
                                           "checkpoint/containers/gguf_pre_tokenizer.cc",
                                           "audit/engines/model_facts.cc"};
  for (const std::string& family : checkpoint::KnownModelTypes()) {
    std::vector<std::string> elsewhere;
    for (const auto& [source, code] : sources_) {
      if (code.find('"' + family + '"') == std::string::npos) continue;
      if (source.starts_with("checkpoint/families/")) continue;
      if (!rows.contains(source) && !namesakes.contains(source)) elsewhere.push_back(source);
    }
    EXPECT_THAT(elsewhere, ::testing::IsEmpty()) << family;
  }
}

// The same of models without a family: only engines' own tables know them.
TEST_F(ExtensionTest, NobodyComparesModelTypes) {
  const std::regex compares(
      "model_type\\(\\)\\s*(==|!=|\\.)|ModelTypeOf\\([^;]*\\)\\s*(==|!=|\\.)");
  for (const auto& [source, code] : sources_) {
    if (source.starts_with("checkpoint/families/") || source.starts_with("calib/families/"))
      continue;
    EXPECT_FALSE(std::regex_search(code, compares)) << source;
  }
}

}  // namespace
}  // namespace vernier
