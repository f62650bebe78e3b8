#include "datasets/template_renderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/expect_error.h"

namespace vernier::datasets {
namespace {

ChatTemplates Templates(const std::string& text) {
  return {.origin = "model",
          .texts = {{"default", text}},
          .special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}}};
}

ChatRow Row(const std::string& json) {
  const Json row = Json::parse(json);
  return ReadChatRow(row, row.at("messages"), "messages", "data.jsonl:1");
}

std::string Render(const std::string& text, const std::string& row) {
  const ChatTemplates templates = Templates(text);
  return TemplateRenderer(templates).Render(Row(row), "data.jsonl:1");
}

constexpr const char* kHello = R"({"messages": [{"role": "user", "content": "hello"}]})";

TEST(TemplateRenderer, GivesMessagesAndSpecialTokens) {
  EXPECT_EQ(Render("{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m.content }}\n"
                   "{% endfor %}{{ unk_token }}{{ add_generation_prompt }}",
                   R"({"messages": [{"role": "user", "content": "1 < 2 \u00e9"},
                                    {"role": "assistant", "content": ""}]})"),
            "<s>user: 1 < 2 \u00e9\nassistant: \nFalse");
}

TEST(TemplateRenderer, HasTheExtensionsThatTemplatesUse) {
  EXPECT_EQ(Render("{% for m in [1, 2, 3] %}{% if m == 2 %}{% continue %}{% endif %}{{ m }}"
                   "{% generation %}x{% endgeneration %}{% endfor %}",
                   kHello),
            "1x3x");
  EXPECT_EQ(Render("{{ {'b': '<\u00e9>', 'a': [1]} | tojson }}", kHello),
            "{\"b\": \"<\u00e9>\", \"a\": [1]}");
  EXPECT_EQ(Render("{{ strftime_now('%d %b %Y') }}", kHello), "26 Jul 2024");
}

TEST(TemplateRenderer, GivesToolsDocumentsAndVariablesOfTheRow) {
  const std::string text = "{{ tools | length }} {{ documents[0].title }} {{ enable_thinking }}";
  EXPECT_EQ(Render(text, R"({"messages": [], "tools": [{}, {}], "documents": [{"title": "T"}],
                             "chat_template_kwargs": {"enable_thinking": false}})"),
            "2 T False");
  EXPECT_EQ(Render("{{ tools[0].name }}", R"({"messages": [], "tools": "[{\"name\": \"f\"}]"})"),
            "f");
  EXPECT_EQ(Render("{{ tools is none }}", R"({"messages": [], "tools": []})"), "True");
}

TEST(TemplateRenderer, TakesTheTemplateForTools) {
  ChatTemplates templates = Templates("default");
  templates.texts["tool_use"] = "tools";
  TemplateRenderer renderer(templates);
  EXPECT_EQ(renderer.Render(Row(kHello), ""), "default");
  EXPECT_EQ(renderer.Render(Row(R"({"messages": [], "tools": [{}]})"), ""), "tools");
}

TEST(TemplateRenderer, FieldsThatAreNullAreNotThere) {
  EXPECT_EQ(Render("{{ messages[0].content is defined }}{{ messages[0] | tojson }}",
                   R"({"messages": [{"role": "assistant", "content": null, "tool_calls": null}]})"),
            "False{\"role\": \"assistant\"}");
}

TEST(TemplateRenderer, ReasoningHasTheNamesThatTemplatesRead) {
  EXPECT_EQ(Render("{{ messages[0].reasoning_content }}{{ messages[0].thinking }}",
                   R"({"messages": [{"role": "assistant", "content": "", "reasoning": "R"}]})"),
            "RR");
}

TEST(TemplateRenderer, JoinsPartsForATemplateThatExpectsAText) {
  constexpr const char* kParts = R"({"messages": [{"role": "user", "content": [
      {"type": "text", "text": "a "}, {"type": "text", "text": "b"}]}]})";
  EXPECT_EQ(Render("{{ messages[0].content }}", kParts), "a b");
  EXPECT_EQ(Render("{% if messages[0].content is string %}{{ messages[0].content }}{% else %}"
                   "{% for part in messages[0].content %}{{ part.text | trim }}{% endfor %}"
                   "{% endif %}",
                   kParts),
            "ab");
}

TEST(TemplateRenderer, GivesArgumentsAsObjectsToATemplateThatFailsWithTexts) {
  const std::string row = R"({"messages": [{"role": "assistant", "content": null, "tool_calls": [
      {"function": {"name": "f", "arguments": "{\"x\": 1}"}}]}]})";
  EXPECT_EQ(Render("{{ messages[0].tool_calls[0].function.arguments }}", row), "{\"x\": 1}");
  EXPECT_EQ(Render("{% for k, v in messages[0].tool_calls[0].function.arguments.items() %}"
                   "{{ k }}={{ v }}{% endfor %}",
                   row),
            "x=1");
}

TEST(TemplateRenderer, GivesAnEmptyContentToATemplateThatFailsWithout) {
  const std::string row = R"({"messages": [{"role": "assistant", "content": null,
                                            "tool_calls": []}]})";
  EXPECT_EQ(Render("{{ messages[0].content is defined }}", row), "False");
  EXPECT_EQ(Render("<{{ messages[0].content + '>' }}", row), "<>");
}

TEST(TemplateRenderer, WhatIsNoUnicodeIsRefused) {
  EXPECT_VERNIER_ERROR(Render("{{ '%c' % 55296 }}", kHello), ErrorCode::kBadDataset, "surrogate");
}

TEST(TemplateRenderer, ARefusalNamesTheRowAndDoesNotEndTheRenderer) {
  const ChatTemplates templates = Templates(
      "{% if messages[0].role != 'user' %}{{ raise_exception('roles\nmust alternate') }}"
      "{% endif %}{{ messages[0].content }}");
  TemplateRenderer renderer(templates);
  const ChatRow bad = Row(R"({"messages": [{"role": "system", "content": "S"}]})");
  EXPECT_VERNIER_ERROR(renderer.Render(bad, "data.jsonl:3"), ErrorCode::kBadDataset,
                       "data.jsonl:3: the chat template refuses it: roles\\nmust alternate");
  EXPECT_EQ(renderer.Render(Row(kHello), ""), "hello");
}

TEST(TemplateRenderer, AVariableKeepsItsValueWhereNoBranchSetsIt) {
  EXPECT_EQ(Render("{% set x = 'kept' %}{% if false %}{% set x = 'a' %}{% else %}{% if false %}"
                   "{% set x = 'b' %}{% endif %}{% endif %}{{ x }}",
                   kHello),
            "kept");
}

TEST(TemplateRenderer, TemplatesCannotReachWhatIsOutsideThem) {
  EXPECT_VERNIER_ERROR(Render("{{ ''.__class__.__mro__ }}", kHello), ErrorCode::kBadDataset,
                       "unsafe");
  EXPECT_VERNIER_ERROR(Render("{% set n = namespace(_x=1) %}", kHello), ErrorCode::kBadDataset,
                       "namespace");
  EXPECT_VERNIER_ERROR(Render("{{ 'x' * 100000000000 }}", kHello), ErrorCode::kBadDataset,
                       "MemoryError");
  EXPECT_VERNIER_ERROR(Render("{{ messages.pop() }}", kHello), ErrorCode::kBadDataset, "unsafe");
  EXPECT_VERNIER_ERROR(Render("{% include '/etc/passwd' %}", kHello), ErrorCode::kBadDataset,
                       "loader");
}

TEST(TemplateRenderer, WhatIsNoTemplateIsRefusedByFile) {
  EXPECT_VERNIER_ERROR(Render("{% if %}", kHello), ErrorCode::kBadTokenizer,
                       "model: the chat template \"default\" is no Jinja");
  const ChatTemplates others = {.origin = "model", .texts = {{"rag", ""}}};
  EXPECT_VERNIER_ERROR(TemplateRenderer(others).Render(Row(kHello), ""), ErrorCode::kBadTokenizer,
                       "default");
}

TEST(TemplateRenderer, SaysWhatIsMissingWithoutPython) {
  setenv("VERNIER_PYTHON", "/nonexistent/python3", /*replace=*/1);
  EXPECT_VERNIER_ERROR(Render("", kHello), ErrorCode::kNoProgram, "python3-jinja2");
  setenv("VERNIER_PYTHON", "/bin/true", /*replace=*/1);
  EXPECT_VERNIER_ERROR(Render("", kHello), ErrorCode::kNoProgram, "/bin/true");
  unsetenv("VERNIER_PYTHON");
}

}  // namespace
}  // namespace vernier::datasets
