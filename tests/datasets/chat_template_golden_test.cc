// Texts of released chat templates, against those of transformers (tests/data/chat_templates).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "datasets/chat_row.h"
#include "datasets/template_renderer.h"

namespace vernier::datasets {
namespace {

using ::testing::AnyOf;

const std::filesystem::path kData = std::filesystem::path(VERNIER_TEST_DATA) / "chat_templates";

struct Golden {
  Json cases = ReadJsonFile(kData / "cases.json");
  Json expected = ReadJsonFile(kData / "expected.json");
  Json special_tokens = ReadJsonFile(kData / "special_tokens.json");
  Json named_templates = ReadJsonFile(kData / "named_templates.json");
};

const Golden& Goldens() {
  static const Golden golden;
  return golden;
}

std::vector<std::string> TemplateNames() {
  std::vector<std::string> names;
  for (const auto& [name, results] : Goldens().expected.items()) names.push_back(name);
  return names;
}

std::string ReadTemplate(const std::string& name) {
  return ReadWholeFile(kData / "templates" / (name + ".jinja"));
}

ChatTemplates Load(const std::string& name) {
  ChatTemplates templates;
  templates.origin = name;
  const Json parts = Goldens().named_templates.value(name, Json{{"default", name}});
  for (const auto& [part, file] : parts.items()) {
    templates.texts[part] = ReadTemplate(file.get<std::string>());
  }
  for (const auto& [key, token] : Goldens().special_tokens.at(name).items()) {
    templates.special_tokens[key] = token.get<std::string>();
  }
  return templates;
}

// The case as a row of data: what transformers takes as arguments are variables of the template.
ChatRow RowOf(const Json& golden_case) {
  Json row = golden_case;
  Json variables = golden_case.value("kwargs", Json::object());
  if (golden_case.contains("add_generation_prompt")) {
    variables["add_generation_prompt"] = golden_case["add_generation_prompt"];
  }
  row["chat_template_kwargs"] = variables;
  return ReadChatRow(row, row.at("messages"), "messages",
                     golden_case.at("name").get<std::string>());
}

bool Holds(const Json& golden_case, std::string_view text) {
  return golden_case.dump().find(text) != std::string::npos;
}

bool HasParts(const Json& golden_case) { return Holds(golden_case, R"("content":[)"); }

Json WithJoinedParts(Json golden_case) {
  for (Json& message : golden_case.at("messages")) message["content"] = TextOf(message);
  return golden_case;
}

// Rows that are refused before a template sees them.
bool IsMalformed(const Json& golden_case) {
  return golden_case.at("name") == "no_content" || golden_case.at("name") == "image_part";
}

// An empty list of tools means that there are none, which transformers tells templates otherwise.
// (Neither does a chat without messages reach a template: it is no document.)
bool HasEmptyTools(const Json& golden_case) {
  return golden_case.contains("tools") && golden_case.at("tools").empty();
}

// Where transformers fails, and a chat with parts joined or arguments as objects need not.
bool MayBeMended(const Json& golden_case) {
  return HasParts(golden_case) || Holds(golden_case, R"("arguments":")") ||
         Holds(golden_case, R"("content":null)");
}

void Check(TemplateRenderer& renderer, const Json& golden_case, const Json& expected) {
  SCOPED_TRACE(golden_case.at("name").get<std::string>());
  if (IsMalformed(golden_case)) {
    EXPECT_THROW(RowOf(golden_case), Error);
  } else if (!expected.contains("text")) {
    if (MayBeMended(golden_case)) return;
    EXPECT_THROW(renderer.Render(RowOf(golden_case), "case"), Error) << expected;
  } else if (HasParts(golden_case)) {
    // Some templates print the list as it is, or nothing: they expect a text.
    const std::string joined = renderer.Render(RowOf(WithJoinedParts(golden_case)), "case");
    EXPECT_THAT(renderer.Render(RowOf(golden_case), "case"),
                AnyOf(expected["text"].get<std::string>(), joined));
  } else {
    EXPECT_EQ(renderer.Render(RowOf(golden_case), "case"), expected["text"].get<std::string>());
  }
}

class ChatTemplateGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(ChatTemplateGolden, TextsAreTransformersTexts) {
  const ChatTemplates templates = Load(GetParam());
  TemplateRenderer renderer(templates);
  const Json& expected = Goldens().expected.at(GetParam());
  for (const Json& golden_case : Goldens().cases) {
    if (HasEmptyTools(golden_case) || golden_case.at("messages").empty()) continue;
    const auto it = expected.find(golden_case.at("name").get<std::string>());
    if (it != expected.end()) Check(renderer, golden_case, *it);
  }
}

INSTANTIATE_TEST_SUITE_P(Templates, ChatTemplateGolden, ::testing::ValuesIn(TemplateNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace vernier::datasets
