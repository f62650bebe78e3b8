#include "datasets/chat_templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

ChatTemplates Read(const std::string& config_json) {
  const nlohmann::json config = nlohmann::json::parse(config_json);
  return ReadChatTemplates(JsonPart(config, "tokenizer_config.json"));
}

// The name that is chosen, or "none".
std::string Choice(const ChatTemplates& templates, bool has_tools) {
  const std::string* name = templates.Choose(has_tools);
  return name == nullptr ? "none" : *name;
}

TEST(ChatTemplates, AConfigurationHasNoneOneOrNamedOnes) {
  EXPECT_TRUE(Read("{}").empty());
  EXPECT_TRUE(Read(R"({"chat_template": null})").empty());
  EXPECT_THAT(Read(R"({"chat_template": "T"})").texts, ElementsAre(Pair("default", "T")));
  EXPECT_THAT(Read(R"({"chat_template": [{"name": "default", "template": "T"},
                                         {"name": "tool_use", "template": "U"}]})")
                  .texts,
              ElementsAre(Pair("default", "T"), Pair("tool_use", "U")));
}

TEST(ChatTemplates, SpecialTokensAreTextsOrAddedTokens) {
  EXPECT_THAT(
      Read(R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "special": true},
                       "pad_token": null, "image_token": "<i>", "add_bos_token": true})")
          .special_tokens,
      ElementsAre(Pair("bos_token", "<s>"), Pair("eos_token", "</s>"), Pair("image_token", "<i>")));
}

TEST(ChatTemplates, SomeClassesHaveTokensWithoutBeingTold) {
  EXPECT_THAT(Read(R"({"tokenizer_class": "LlamaTokenizerFast", "bos_token": null,
                       "eos_token": "<e>"})")
                  .special_tokens,
              ElementsAre(Pair("eos_token", "<e>"), Pair("unk_token", "<unk>")));
  EXPECT_THAT(Read(R"({"tokenizer_class": "PreTrainedTokenizerFast"})").special_tokens, IsEmpty());
}

TEST(ChatTemplates, ToolsHaveTheirOwnWhereThereIsOne) {
  const ChatTemplates both = {.texts = {{"default", ""}, {"rag", ""}, {"tool_use", ""}}};
  EXPECT_EQ(Choice(both, false), "default");
  EXPECT_EQ(Choice(both, true), "tool_use");
  const ChatTemplates one = {.texts = {{"default", ""}}};
  EXPECT_EQ(Choice(one, true), "default");
  const ChatTemplates others = {.texts = {{"rag", ""}, {"tool_use", ""}}};
  EXPECT_EQ(Choice(others, false), "none");
  EXPECT_EQ(Choice(others, true), "tool_use");
}

TEST(ChatTemplates, MalformedOnesAreRefusedByPlace) {
  EXPECT_VERNIER_ERROR(Read(R"({"chat_template": 3})"), ErrorCode::kBadTokenizer,
                       "chat_template: is not a string");
  EXPECT_VERNIER_ERROR(Read(R"({"chat_template": [{"name": "default"}]})"),
                       ErrorCode::kBadTokenizer, "chat_template[0]: lacks \"template\"");
}

class TemplateFiles : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((directory_.path() / name).parent_path());
    WriteFileAtomically(directory_.path() / name, text);
  }
  ChatTemplates Read() const {
    ChatTemplates templates = {.texts = {{"default", "of the configuration"}, {"rag", "R"}}};
    AddTemplateFiles(directory_.path(), &templates);
    return templates;
  }

  testing::TempDir directory_;
};

TEST_F(TemplateFiles, WinOverTheConfiguration) {
  EXPECT_THAT(Read().texts, ElementsAre(Pair("default", "of the configuration"), Pair("rag", "R")));
  Write("chat_template.jinja", "T\n");
  EXPECT_THAT(Read().texts, ElementsAre(Pair("default", "T\n")));
}

TEST_F(TemplateFiles, TheOlderOneIsTheLast) {
  Write("chat_template.json", R"({"chat_template": "J"})");
  EXPECT_THAT(Read().texts, ElementsAre(Pair("default", "of the configuration"), Pair("rag", "R")));
  ChatTemplates none;
  AddTemplateFiles(directory_.path(), &none);
  EXPECT_THAT(none.texts, ElementsAre(Pair("default", "J")));
}

TEST_F(TemplateFiles, MayHaveNames) {
  Write("chat_template.jinja", "T");
  Write("additional_chat_templates/tool_use.jinja", "U");
  Write("additional_chat_templates/notes.txt", "no template");
  EXPECT_THAT(Read().texts, ElementsAre(Pair("default", "T"), Pair("tool_use", "U")));
}

TEST_F(TemplateFiles, OfANameThatIsNoDirectoryAreRefused) {
  Write("additional_chat_templates", "");
  EXPECT_VERNIER_ERROR(Read(), ErrorCode::kFileOpen, "additional_chat_templates");
}

TEST_F(TemplateFiles, AreUtf8) {
  Write("chat_template.jinja", "caf\xe9");
  EXPECT_VERNIER_ERROR(Read(), ErrorCode::kBadTokenizer, "chat_template.jinja: is not UTF-8");
}

TEST_F(TemplateFiles, OfOtherFormAreRefused) {
  Write("chat_template.json", "[]");
  ChatTemplates none;
  EXPECT_VERNIER_ERROR(AddTemplateFiles(directory_.path(), &none), ErrorCode::kBadTokenizer,
                       "chat_template.json");
}

}  // namespace
}  // namespace vernier::datasets
