#include "datasets/document_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/datasets/byte_tokenizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<int32_t> EncodeRow(const std::string& row, const ByteTokenizerOptions& options = {},
                               ChatFormat format = ChatFormat::kPlain) {
  const Tokenizer tokenizer = MakeByteTokenizer(options);
  return DocumentEncoder(tokenizer, format).Encode({row, "data.jsonl:7", /*is_json=*/true});
}

std::string FailureOf(const std::string& row, ChatFormat format = ChatFormat::kPlain,
                      const ByteTokenizerOptions& options = {}) {
  try {
    EncodeRow(row, options, format);
  } catch (const Error& error) {
    EXPECT_EQ(CodeName(error.code()), CodeName(ErrorCode::kBadDataset)) << error.what();
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown for " << row;
  return {};
}

std::vector<int32_t> Join(const std::vector<std::vector<int32_t>>& parts) {
  std::vector<int32_t> joined;
  for (const auto& part : parts) joined.insert(joined.end(), part.begin(), part.end());
  return joined;
}

const ByteTokenizerOptions kDeepSeekTokens = {
    .control_tokens = {"<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"}};
const ByteTokenizerOptions kChatMlTokens = {.control_tokens = {"<|im_start|>", "<|im_end|>"}};

constexpr const char* kChat = R"({"messages": [{"role": "system", "content": "S"},
    {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]})";

TEST(DocumentEncoder, AddsBosAndEosAsTheTokenizerIsConfigured) {
  constexpr const char* kRow = R"({"text": "ab"})";
  EXPECT_THAT(EncodeRow(kRow), ElementsAre('a', 'b'));
  EXPECT_THAT(EncodeRow(kRow, {.adds_bos = true}), ElementsAre(kBos, 'a', 'b'));
  EXPECT_THAT(EncodeRow(kRow, {.adds_eos = true}), ElementsAre('a', 'b', kEos));
  EXPECT_THAT(EncodeRow(kRow, {.adds_bos = true, .adds_eos = true}),
              ElementsAre(kBos, 'a', 'b', kEos));
}

TEST(DocumentEncoder, DoesNotDoubleWhatTheTextAlreadyHas) {
  EXPECT_THAT(EncodeRow(R"({"text": "<bos>ab<eos>"})", {.adds_bos = true, .adds_eos = true}),
              ElementsAre(kBos, 'a', 'b', kEos));
}

TEST(DocumentEncoder, PlainTextIsOneDocumentWithBosAndEos) {
  const Tokenizer tokenizer = MakeByteTokenizer({.adds_bos = true, .adds_eos = true});
  const DocumentEncoder encoder(tokenizer, ChatFormat::kPlain);
  EXPECT_EQ(encoder.Encode({"{x}\ny", "data.txt", /*is_json=*/false}),
            Join({{kBos}, ByteIds("{x}\ny"), {kEos}}));
  EXPECT_THAT(encoder.Encode({"", "data.txt", /*is_json=*/false}), IsEmpty());
}

TEST(DocumentEncoder, TakesInputIdsAsTheyAre) {
  EXPECT_THAT(EncodeRow(R"({"input_ids": [5, 0, 257]})", {.adds_bos = true, .adds_eos = true}),
              ElementsAre(5, 0, 257));
}

TEST(DocumentEncoder, ReadyIdsNeedNoTokenizer) {
  const testing::TempDir empty;
  const DocumentEncoder encoder(TokenizerOrError::Load(empty.path()), ChatFormat::kAuto);
  const auto encode = [&](const std::string& row) {
    return encoder.Encode({row, "data.jsonl:7", /*is_json=*/true});
  };
  EXPECT_THAT(encode(R"({"input_ids": [5, 0, 70000]})"), ElementsAre(5, 0, 70000));
  EXPECT_VERNIER_ERROR(encode(R"({"text": "a"})"), ErrorCode::kBadTokenizer, "tokenizer.json");
  EXPECT_VERNIER_ERROR(encode(R"({"messages": [{"role": "user", "content": "b"}]})"),
                       ErrorCode::kBadTokenizer, "tokenizer.json");
}

TEST(DocumentEncoder, UsesTheFirstFieldThatIsNotNull) {
  EXPECT_THAT(EncodeRow(R"({"text": "a", "messages": null, "input_ids": [7]})"), ElementsAre(7));
  EXPECT_THAT(EncodeRow(R"({"id": 3, "text": "a", "messages": null, "input_ids": null})"),
              ElementsAre('a'));
  EXPECT_THAT(EncodeRow(R"({"text": "a", "messages": [{"role": "user", "content": "b"}]})"),
              ElementsAre('b'));
}

TEST(DocumentEncoder, PassesOverRowsWithoutText) {
  EXPECT_THAT(EncodeRow(R"({"id": 3, "text": null})", {.adds_bos = true}), IsEmpty());
  EXPECT_THAT(EncodeRow(R"({"messages": []})", {.chat_template = "T"}, ChatFormat::kAuto),
              IsEmpty());
}

TEST(DocumentEncoder, PlainChatJoinsContentsByNewlines) {
  EXPECT_EQ(EncodeRow(kChat), ByteIds("S\nU\nA"));
}

TEST(DocumentEncoder, ReadsWhatChatsHoldBesideText) {
  EXPECT_EQ(EncodeRow(R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "text", "text": "b"}]}, {"role": "assistant", "content": null}]})"),
            ByteIds("ab\n"));
  EXPECT_EQ(EncodeRow(R"({"messages": [{"role": "assistant", "content": null, "tool_calls":
                [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}]})"),
            ByteIds(R"({"name":"f","arguments":"{}"})"));
}

TEST(DocumentEncoder, ReadsConversationsInShareGptsForm) {
  constexpr const char* kRow = R"({"conversations": [{"from": "human", "value": "U"},
                                                     {"from": "gpt", "value": "A"}]})";
  EXPECT_EQ(EncodeRow(kRow), ByteIds("U\nA"));
  EXPECT_THAT(EncodeRow(kRow, kDeepSeekTokens, ChatFormat::kDeepSeek),
              ElementsAre(258, 'U', 259, 'A', 260));
}

TEST(DocumentEncoder, DeepSeekChatUsesItsControlTokens) {
  EXPECT_THAT(EncodeRow(kChat, kDeepSeekTokens, ChatFormat::kDeepSeek),
              ElementsAre('S', 258, 'U', 259, 'A', 260));
}

TEST(DocumentEncoder, ChatMlUsesItsControlTokens) {
  EXPECT_EQ(EncodeRow(kChat, kChatMlTokens, ChatFormat::kChatMl), Join({{258},
                                                                        ByteIds("system\nS"),
                                                                        {259, '\n'},
                                                                        {258},
                                                                        ByteIds("user\nU"),
                                                                        {259, '\n'},
                                                                        {258},
                                                                        ByteIds("assistant\nA"),
                                                                        {259, '\n'}}));
}

TEST(DocumentEncoder, ChatsNeedTheControlTokensOfTheirFormat) {
  EXPECT_THAT(FailureOf(kChat, ChatFormat::kDeepSeek, {.control_tokens = {"<｜User｜>"}}),
              HasSubstr("<｜Assistant｜>"));
  EXPECT_THAT(FailureOf(kChat, ChatFormat::kChatMl, {.control_tokens = {"<|im_start|>"}}),
              HasSubstr("<|im_end|>"));
  EXPECT_THAT(EncodeRow(R"({"text": "a"})", {}, ChatFormat::kDeepSeek), ElementsAre('a'));
}

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ eos_token "
    "}}";

TEST(DocumentEncoder, ChatsAreWrittenByTheCheckpointsTemplateWhereThereIsOne) {
  const ByteTokenizerOptions options = {.adds_bos = true, .chat_template = kTemplate};
  const std::vector<int32_t> rendered =
      Join({{kBos}, ByteIds("[system]S[user]U[assistant]A"), {kEos}});
  EXPECT_EQ(EncodeRow(kChat, options, ChatFormat::kAuto), rendered);
  EXPECT_EQ(EncodeRow(kChat, options, ChatFormat::kTemplate), rendered);
  EXPECT_EQ(EncodeRow(kChat, options, ChatFormat::kPlain), Join({{kBos}, ByteIds("S\nU\nA")}));
  EXPECT_EQ(EncodeRow(kChat, {.adds_bos = true}, ChatFormat::kAuto),
            Join({{kBos}, ByteIds("S\nU\nA")}));
}

TEST(DocumentEncoder, ATemplateAddsNoTokenThatItDoesNotWrite) {
  const ByteTokenizerOptions options = {
      .adds_bos = true, .adds_eos = true, .chat_template = "{{ messages[1].content }}"};
  EXPECT_THAT(EncodeRow(kChat, options, ChatFormat::kTemplate), ElementsAre('U'));
  EXPECT_EQ(EncodeRow(R"({"text": "ab"})", options, ChatFormat::kTemplate),
            Join({{kBos}, ByteIds("ab"), {kEos}}));
}

TEST(DocumentEncoder, ATemplateThatIsAskedForMustBeThere) {
  EXPECT_THAT(FailureOf(kChat, ChatFormat::kTemplate), HasSubstr("no chat template"));
  EXPECT_THAT(EncodeRow(R"({"text": "a"})", {}, ChatFormat::kTemplate), ElementsAre('a'));
}

TEST(DocumentEncoder, OnlyPlainAndTemplatesHaveToolCalls) {
  constexpr const char* kCall = R"({"messages": [{"role": "assistant", "tool_calls":
      [{"function": {"name": "f", "arguments": "{}"}}]}]})";
  EXPECT_THAT(FailureOf(kCall, ChatFormat::kDeepSeek, kDeepSeekTokens), HasSubstr("tool calls"));
  EXPECT_THAT(FailureOf(kCall, ChatFormat::kChatMl, kChatMlTokens), HasSubstr("tool calls"));
}

TEST(DocumentEncoder, ANamedColumnHoldsTextOrIdsOrAChat) {
  const Tokenizer tokenizer = MakeByteTokenizer();
  const DocumentEncoder encoder(tokenizer, ChatFormat::kPlain);
  const auto encode = [&](const std::string& row) {
    return encoder.Encode({row, "data.jsonl:7", /*is_json=*/true, "prompt"});
  };
  EXPECT_THAT(encode(R"({"text": "x", "prompt": "ab"})"), ElementsAre('a', 'b'));
  EXPECT_THAT(encode(R"({"text": "x", "prompt": [5, 6]})"), ElementsAre(5, 6));
  EXPECT_EQ(encode(R"({"prompt": [{"role": "user", "content": "U"}]})"), ByteIds("U"));
  EXPECT_THAT(encode(R"({"text": "x", "prompt": null})"), IsEmpty());
  EXPECT_VERNIER_ERROR(encode(R"({"text": "x"})"), ErrorCode::kBadDataset, "no field \"prompt\"");
  EXPECT_VERNIER_ERROR(encode(R"({"prompt": 3})"), ErrorCode::kBadDataset,
                       "\"prompt\" is of type number, not string");
}

TEST(DocumentEncoder, UnknownRoleIsRefusedByDeepSeekFormatOnly) {
  constexpr const char* kRow = R"({"messages": [{"role": "tool", "content": "x"}]})";
  EXPECT_THAT(FailureOf(kRow, ChatFormat::kDeepSeek, kDeepSeekTokens), HasSubstr("\"tool\""));
  EXPECT_EQ(EncodeRow(kRow), ByteIds("x"));
}

struct BadRow {
  std::string name;
  std::string row;
  std::string problem;
};

class BadRowTest : public ::testing::TestWithParam<BadRow> {};

TEST_P(BadRowTest, IsRefusedByFileLineAndReason) {
  const std::string failure = FailureOf(GetParam().row);
  EXPECT_THAT(failure, HasSubstr("data.jsonl:7: "));
  EXPECT_THAT(failure, HasSubstr(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadRowTest,
    ::testing::Values(
        BadRow{"NotJson", R"({"text": "a)", "not JSON (at its byte"},
        BadRow{"TwoObjects", R"({"text": "a"} {"text": "b"})", "not JSON"},
        BadRow{"InvalidUtf8", "{\"text\": \"\xff\"}", "not JSON"},
        BadRow{"HugeNumber", R"({"text": 1e999})", "beyond the range"},
        BadRow{"ArrayRow", R"(["a"])", "type array, not object"},
        BadRow{"StringRow", R"("a")", "type string, not object"},
        BadRow{"NoField", R"({"content": "a"})", "none of the fields"},
        BadRow{"TextNumber", R"({"text": 3})", "\"text\" is of type number, not string"},
        BadRow{"MessagesObject", R"({"messages": {}})",
               "\"messages\" is of type object, not array"},
        BadRow{"MessageString", R"({"messages": ["a"]})", "message 1 is of type string"},
        BadRow{"NoContent", R"({"messages": [{"role": "user"}]})",
               "\"content\" of message 1 is missing"},
        BadRow{"NoRole", R"({"messages": [{"role": "user", "content": ""}, {"content": "a"}]})",
               "\"role\" of message 2 is missing"},
        BadRow{"NumberContent", R"({"messages": [{"role": "user", "content": 3}]})",
               "\"content\" of message 1 is of type number, not string"},
        BadRow{"ImagePart", R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})",
               "of the type \"image\", not text"},
        BadRow{"Deep", R"({"text": )" + std::string(1000, '[') + std::string(1000, ']') + "}",
               "nest too deep"},
        BadRow{"ToolsObject", R"({"messages": [], "tools": {}})",
               "\"tools\" is of type object, not array"},
        BadRow{"ToolsText", R"({"messages": [], "tools": "none"})",
               "\"tools\" is of type string, not array"},
        BadRow{"VariablesArray", R"({"messages": [], "chat_template_kwargs": []})",
               "\"chat_template_kwargs\" is of type array, not object"},
        BadRow{"CallsObject", R"({"messages": [{"role": "assistant", "tool_calls": {}}]})",
               "\"tool_calls\" of message 1 is of type object, not array"},
        BadRow{"IdsString", R"({"input_ids": "1 2"})",
               "\"input_ids\" is of type string, not array"},
        BadRow{"IdFraction", R"({"input_ids": [1, 2.5]})", "\"input_ids\"[1] is of type number"},
        BadRow{"IdTooLarge", R"({"input_ids": [1, 258]})",
               "\"input_ids\"[1] = 258 is outside 0..257"},
        BadRow{"IdNegative", R"({"input_ids": [-1]})", "\"input_ids\"[0] = -1 is outside"},
        BadRow{"IdEnormous", R"({"input_ids": [18446744073709551615]})",
               "= 18446744073709551615 is outside"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace vernier::datasets
