#include "datasets/document_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/json_error.h"
#include "datasets/chat_format.h"
#include "datasets/row_fields.h"
#include "datasets/special_ids.h"

namespace vernier::datasets {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";
constexpr std::array<std::string_view, 4> kFields = {"input_ids", "messages", "conversations",
                                                     "text"};

Json ParseRow(const Document& document) {
  constexpr std::string_view kRemedy = "Write one JSON object a line, or name the format \"text\"";
  try {
    Json row = Json::parse(document.content);
    if (NestsDeeper(row, kMaxJsonDepth)) {
      ThrowBadRow(document.origin, "the line's values nest too deep", "Remove the line");
    }
    if (row.is_object()) return row;
    ThrowBadRow(document.origin, fmt::format("the line is of type {}, not object", row.type_name()),
                kRemedy);
  } catch (const Json::parse_error& error) {
    ThrowBadRow(document.origin, fmt::format("the line is not JSON (at its byte {})", error.byte),
                kRemedy);
  } catch (const Json::out_of_range&) {
    ThrowBadRow(document.origin, "the line holds a number beyond the range of a double",
                "Correct the number");
  }
}

std::vector<int32_t> ReadIds(const Json& value, std::string_view field, int32_t vocab_size,
                             std::string_view origin) {
  if (!value.is_array()) ThrowWrongType(origin, fmt::format("\"{}\"", field), value, "array");
  std::vector<int32_t> ids;
  ids.reserve(value.size());
  for (const Json& id : value) {
    const std::string name = fmt::format("\"{}\"[{}]", field, ids.size());
    if (!id.is_number_integer()) ThrowWrongType(origin, name, id, "integer");
    // The parser makes every integer that is not negative an unsigned one.
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
      ThrowBadRow(origin, fmt::format("{} = {} is outside 0..{}", name, id.dump(), vocab_size - 1),
                  "Use ids of this model's tokenizer");
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

}  // namespace

DocumentEncoder::DocumentEncoder(TokenizerOrError tokenizer, ChatFormat chat_format)
    : tokenizer_(std::move(tokenizer)), chat_format_(chat_format) {
  static const ChatTemplates kNone;
  const ChatTemplates& templates =
      tokenizer_.get() == nullptr ? kNone : tokenizer_.get()->chat_templates();
  if (chat_format_ == ChatFormat::kAuto) {
    chat_format_ = templates.empty() ? ChatFormat::kPlain : ChatFormat::kTemplate;
  }
  renderer_ = std::make_unique<TemplateRenderer>(templates);
}

// Whoever runs the model checks ids against its vocabulary.
int32_t DocumentEncoder::VocabSize() const {
  return tokenizer_.get() == nullptr ? std::numeric_limits<int32_t>::max()
                                     : tokenizer_.get()->vocab_size();
}

std::vector<int32_t> DocumentEncoder::Encode(const Document& document) const {
  if (!document.is_json) return EncodeText(document.content);
  if (document.content.find_first_not_of(kWhitespace) == std::string::npos) return {};
  return EncodeRow(document);
}

std::vector<int32_t> DocumentEncoder::EncodeRow(const Document& document) const {
  const std::string& origin = document.origin;
  const Json row = ParseRow(document);
  if (!document.column.empty()) return EncodeColumn(row, document.column, origin);
  if (const Json* ids = FindField(row, "input_ids")) {
    return ReadIds(*ids, "input_ids", VocabSize(), origin);
  }
  for (const std::string_view field : {"messages", "conversations"}) {
    if (const Json* messages = FindField(row, field)) {
      return EncodeChat(ReadChatRow(row, *messages, field, origin), origin);
    }
  }
  if (const Json* text = FindField(row, "text")) {
    return EncodeText(RequireString(*text, "\"text\"", origin));
  }
  const bool is_null =
      std::ranges::any_of(kFields, [&](std::string_view field) { return row.contains(field); });
  if (is_null) return {};
  ThrowBadRow(origin,
              "the object has none of the fields \"text\", \"messages\", \"conversations\" and "
              "\"input_ids\"",
              "Name the field that holds the text as the source's \"column\" (eval: --column)");
}

std::vector<int32_t> DocumentEncoder::EncodeColumn(const Json& row, std::string_view column,
                                                   std::string_view origin) const {
  const auto value = row.find(column);
  if (value == row.end()) {
    ThrowBadRow(origin, fmt::format("the object has no field \"{}\"", column),
                "Correct the name of the source's \"column\"");
  }
  if (value->is_null()) return {};
  if (!value->is_array()) {
    return EncodeText(RequireString(*value, fmt::format("\"{}\"", column), origin));
  }
  if (!value->empty() && value->front().is_object()) {
    return EncodeChat(ReadChatRow(row, *value, column, origin), origin);
  }
  return ReadIds(*value, column, VocabSize(), origin);
}

std::vector<int32_t> DocumentEncoder::EncodeChat(const ChatRow& chat,
                                                 std::string_view origin) const {
  if (chat.messages.empty()) return {};
  if (chat_format_ == ChatFormat::kTemplate) {
    // A template writes BOS and EOS itself.
    return tokenizer_.Require().Encode(renderer_->Render(chat, origin));
  }
  RequireControlTokens(chat_format_, tokenizer_.Require());
  return EncodeText(RenderChat(chat_format_, chat, origin));
}

std::vector<int32_t> DocumentEncoder::EncodeText(std::string_view text) const {
  const Tokenizer& tokenizer = tokenizer_.Require();
  std::vector<int32_t> ids = tokenizer.Encode(text);
  if (ids.empty()) return ids;
  AddPrefix(tokenizer.prefix(), &ids);
  AddSuffix(tokenizer.suffix(), &ids);
  return ids;
}

}  // namespace vernier::datasets
