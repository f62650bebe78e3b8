#include "datasets/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "datasets/utf8.h"
#include "tests/datasets/letter_tokenizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

using Ids = std::vector<int32_t>;

Tokenizer ParseWithConfig(const nlohmann::json& config) {
  return Tokenizer::Parse(LetterTokenizerJson().dump(), config.dump(), "letters");
}

TEST(Tokenizer, ConfigurationNamesBosAndEosAsStringOrObject) {
  const Tokenizer tokenizer = ParseWithConfig({{"bos_token", "a"},
                                               {"eos_token", {{"content", "b"}}},
                                               {"add_bos_token", true},
                                               {"add_eos_token", nullptr}});
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.prefix(), Ids{0});
  EXPECT_TRUE(tokenizer.suffix().empty());
  EXPECT_EQ(tokenizer.Encode("ab"), (Ids{kAbId}));  // adding is the caller's
}

TEST(Tokenizer, WithoutConfigurationThereIsNoBosOrEos) {
  const Tokenizer tokenizer = ParseTokenizer(LetterTokenizerJson());
  EXPECT_EQ(tokenizer.bos_id(), std::nullopt);
  EXPECT_EQ(tokenizer.eos_id(), std::nullopt);
  EXPECT_TRUE(tokenizer.prefix().empty());
  EXPECT_TRUE(tokenizer.suffix().empty());
}

TEST(Tokenizer, RefusesAConfigurationThatDoesNotFit) {
  EXPECT_VERNIER_ERROR(ParseWithConfig({{"bos_token", "<nothing>"}}), ErrorCode::kBadTokenizer,
                       "<nothing>");
  EXPECT_VERNIER_ERROR(ParseWithConfig({{"add_eos_token", true}}), ErrorCode::kBadTokenizer,
                       "add_eos_token");
  EXPECT_VERNIER_ERROR(ParseWithConfig({{"eos_token", 3}}), ErrorCode::kBadTokenizer, "eos_token");
  EXPECT_VERNIER_ERROR(ParseWithConfig({{"add_bos_token", "yes"}}), ErrorCode::kBadTokenizer,
                       "add_bos_token");
  EXPECT_VERNIER_ERROR(ParseWithConfig(nlohmann::json::array()), ErrorCode::kBadTokenizer,
                       "letters/tokenizer_config.json");
}

TEST(Tokenizer, LoadsADirectory) {
  const testing::TempDir directory;
  std::ofstream(directory.path() / "tokenizer.json") << LetterTokenizerJson();
  EXPECT_EQ(Tokenizer::Load(directory.path()).bos_id(), std::nullopt);
  std::ofstream(directory.path() / "tokenizer_config.json") << R"({"bos_token": "c"})";
  EXPECT_EQ(Tokenizer::Load(directory.path()).bos_id(), 2);
}

TEST(Tokenizer, LoadingADirectoryWithoutOneNamesTheFile) {
  const testing::TempDir directory;
  EXPECT_VERNIER_ERROR(Tokenizer::Load(directory.path()), ErrorCode::kBadTokenizer,
                       "tokenizer.json");
}

TEST(Tokenizer, ADirectoryWithATokenizerOfAnotherKindSaysHowToMakeOne) {
  const testing::TempDir directory;
  std::ofstream(directory.path() / "tokenizer.model") << "sentencepiece";
  EXPECT_VERNIER_ERROR(Tokenizer::Load(directory.path()), ErrorCode::kBadTokenizer,
                       "holds tokenizer.model");
  EXPECT_VERNIER_ERROR(Tokenizer::Load(directory.path()), ErrorCode::kBadTokenizer,
                       "save_pretrained");
}

TEST(Tokenizer, RefusesTextThatIsNoJson) {
  for (const char* text : {"", "{", "{\"model\": }", "[1]", "null", "\xFF", "{\"a\": 1e999}"}) {
    EXPECT_VERNIER_ERROR(Tokenizer::Parse(text, "", "letters"), ErrorCode::kBadTokenizer,
                         "letters/tokenizer.json");
  }
}

TEST(Tokenizer, RefusesMissingParts) {
  for (const char* key : {"model", "decoder"}) {
    nlohmann::json file = LetterTokenizerJson();
    file.erase(key);
    EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, key);
  }
  for (const char* key : {"vocab", "merges"}) {
    nlohmann::json file = LetterTokenizerJson();
    file["model"].erase(key);
    EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, key);
  }
}

TEST(Tokenizer, IgnoresTruncationAndPadding) {
  nlohmann::json file = LetterTokenizerJson();
  file["truncation"] = {{"direction", "Right"}, {"max_length", 1}, {"stride", 0}};
  file["padding"] = {{"strategy", "BatchLongest"}, {"pad_id", 0}, {"pad_token", "a"}};
  EXPECT_EQ(ParseTokenizer(file).Encode("abab"), (Ids{kAbId, kAbId}));
}

nlohmann::json Template(std::vector<nlohmann::json> single) {
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"special_tokens",
           {{"A", {{"id", "A"}, {"ids", {0}}}}, {"B", {{"id", "B"}, {"ids", {1, 2}}}}}}};
}

nlohmann::json Special(const char* name) { return {{"SpecialToken", {{"id", name}}}}; }
nlohmann::json Text(const char* name = "A") { return {{"Sequence", {{"id", name}}}}; }

Tokenizer WithPostProcessor(const nlohmann::json& post_processor,
                            const nlohmann::json& config = {{"bos_token", "c"},
                                                            {"add_bos_token", true}}) {
  nlohmann::json file = LetterTokenizerJson();
  file["post_processor"] = post_processor;
  return Tokenizer::Parse(file.dump(), config.dump(), "letters");
}

TEST(Tokenizer, TheTemplateOfThePostProcessorDecidesWhatStandsAroundAText) {
  const Tokenizer both = WithPostProcessor(Template({Special("A"), Text(), Special("B")}));
  EXPECT_EQ(both.prefix(), Ids{0});
  EXPECT_EQ(both.suffix(), (Ids{1, 2}));
  const Tokenizer none = WithPostProcessor(Template({Text()}));
  EXPECT_TRUE(none.prefix().empty()) << "whatever add_bos_token says";
  const nlohmann::json byte_level = {{"type", "ByteLevel"}};
  const nlohmann::json sequence = {{"type", "Sequence"},
                                   {"processors", {byte_level, Template({Special("A"), Text()})}}};
  EXPECT_EQ(WithPostProcessor(sequence).prefix(), Ids{0});
}

TEST(Tokenizer, WhereThePostProcessorAddsNothingTheConfigurationDecides) {
  EXPECT_EQ(WithPostProcessor({{"type", "ByteLevel"}}).prefix(), Ids{2});
  EXPECT_EQ(WithPostProcessor(nullptr).prefix(), Ids{2});
  EXPECT_TRUE(WithPostProcessor(nullptr, {{"bos_token", "c"}}).prefix().empty());
}

TEST(Tokenizer, BertAndRobertaPostProcessorsStandAroundAText) {
  for (const char* type : {"BertProcessing", "RobertaProcessing"}) {
    const Tokenizer tokenizer =
        WithPostProcessor({{"type", type}, {"cls", {"a", 0}}, {"sep", {"b", 1}}});
    EXPECT_EQ(tokenizer.prefix(), Ids{0});
    EXPECT_EQ(tokenizer.suffix(), Ids{1});
  }
}

TEST(Tokenizer, RefusesPostProcessorsThatItDoesNotCompute) {
  const nlohmann::json once = Template({Special("A"), Text()});
  for (const auto& [post_processor, named] : std::vector<std::pair<nlohmann::json, const char*>>{
           {{{"type", "Other"}}, "Other"},
           {Template({Text(), Text()}), "one text"},
           {Template({Text("B")}), "one text"},
           {Template({Special("A")}), "without the text"},
           {Template({Special("C"), Text()}), "\"C\""},
           {{{"type", "Sequence"}, {"processors", {once, once}}}, "second"},
           {{{"type", "BertProcessing"}, {"cls", {"a", 0}}, {"sep", "b"}}, "sep"},
           {{{"type", "BertProcessing"}, {"cls", {"a", 999}}, {"sep", {"b", 1}}}, "999"}}) {
    EXPECT_VERNIER_ERROR(WithPostProcessor(post_processor), ErrorCode::kBadTokenizer, named);
  }
}

nlohmann::json Decoders(const std::vector<std::string>& types) {
  nlohmann::json decoders = nlohmann::json::array();
  for (const std::string& type : types) decoders.push_back({{"type", type}});
  return {{"type", "Sequence"}, {"decoders", decoders}};
}

TEST(Tokenizer, DecoderIsByteLevelPerhapsFused) {
  nlohmann::json file = LetterTokenizerJson();
  file["decoder"] = Decoders({"ByteLevel", "Fuse"});
  EXPECT_EQ(ParseTokenizer(file).Decode(Ids{kAbId, kSpaceId, 0}), "ab a");
  for (const auto& types : std::vector<std::vector<std::string>>{
           {"Fuse", "ByteLevel"}, {"ByteLevel", "Strip"}, {"Metaspace"}, {}}) {
    file["decoder"] = Decoders(types);
    EXPECT_VERNIER_ERROR(ParseTokenizer(file), ErrorCode::kBadTokenizer, "decoder");
  }
}

TEST(Tokenizer, DecodeRefusesIdsOutsideTheVocabulary) {
  const Tokenizer tokenizer = ParseTokenizer(LetterTokenizerJson());
  EXPECT_VERNIER_ERROR(tokenizer.Decode(Ids{0, kFirstAddedId}), ErrorCode::kBadTokenIds, "32");
  EXPECT_VERNIER_ERROR(tokenizer.Decode(Ids{-1}), ErrorCode::kBadTokenIds, "-1");
}

TEST(Tokenizer, InvalidTextIsReadAsReplacementCharacters) {
  nlohmann::json file = LetterTokenizerJson();
  file["added_tokens"].push_back(AddedTokenJson(kFirstAddedId, "\uFFFD"));
  const Tokenizer tokenizer = ParseTokenizer(file);
  EXPECT_EQ(tokenizer.Encode("a\xFF\x80z"), (Ids{0, kFirstAddedId, kFirstAddedId, 25}));
}

TEST(Utf8, RepairReplacesMaximalSubparts) {
  const std::string fffd = "\uFFFD";
  EXPECT_EQ(RepairUtf8("a\u00E9\u20AC\U0001F600"), "a\u00E9\u20AC\U0001F600");
  EXPECT_EQ(RepairUtf8("\xE2\x82"), fffd);                               // cut short at the end
  EXPECT_EQ(RepairUtf8("\xE2\x82x"), fffd + "x");                        // cut short in the middle
  EXPECT_EQ(RepairUtf8("\xC0\xAF"), fffd + fffd);                        // overlong
  EXPECT_EQ(RepairUtf8("\xED\xA0\x80"), fffd + fffd + fffd);             // a surrogate
  EXPECT_EQ(RepairUtf8("\xF4\x90\x80\x80"), fffd + fffd + fffd + fffd);  // above U+10FFFF
  EXPECT_EQ(RepairUtf8("\xF0\x9F\x98\xF0\x9F\x98\x80"), fffd + "\U0001F600");
}

TEST(Utf8, EveryCodePointSurvivesBeingWrittenAndRead) {
  for (char32_t code_point = 0; code_point < 0x110000; ++code_point) {
    if (code_point >= 0xD800 && code_point < 0xE000) continue;
    std::string text;
    AppendUtf8(code_point, text);
    ASSERT_EQ(RepairUtf8(text), text);
    size_t position = 0;
    ASSERT_EQ(NextCodePoint(text, position), code_point);
    ASSERT_EQ(position, text.size());
    ASSERT_EQ(PreviousCodePoint(text, position), 0u);
  }
}

}  // namespace
}  // namespace vernier::datasets
