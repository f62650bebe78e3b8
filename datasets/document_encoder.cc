#include "datasets/document_encoder.h"

#include <fmt/format.h>

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "datasets/chat_format.h"

namespace vernier::datasets {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";

[[noreturn]] void ThrowBadRow(std::string_view origin, std::string_view problem,
                              std::string_view remedy) {
  throw Error(ErrorCode::kBadDataset, origin, problem, remedy);
}

[[noreturn]] void ThrowWrongType(std::string_view origin, std::string_view what, const Json& value,
                                 std::string_view wanted) {
  ThrowBadRow(origin, fmt::format("{} is of type {}, not {}", what, value.type_name(), wanted),
              "Correct the line or remove it");
}

Json ParseRow(const Document& document) {
  constexpr std::string_view kRemedy = "Write one JSON object a line, or name the format \"text\"";
  try {
    Json row = Json::parse(document.content);
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

// Null when the field is absent or null.
const Json* FindField(const Json& object, std::string_view name) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const std::string& RequireString(const Json& value, std::string_view what,
                                 std::string_view origin) {
  if (!value.is_string()) ThrowWrongType(origin, what, value, "string");
  return value.get_ref<const std::string&>();
}

std::vector<int32_t> ReadIds(const Json& value, int32_t vocab_size, std::string_view origin) {
  if (!value.is_array()) ThrowWrongType(origin, "\"input_ids\"", value, "array");
  std::vector<int32_t> ids;
  ids.reserve(value.size());
  for (const Json& id : value) {
    const std::string name = fmt::format("\"input_ids\"[{}]", ids.size());
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

std::string ReadMessageField(const Json& message, std::string_view field, size_t position,
                             std::string_view origin) {
  const std::string name = fmt::format("\"{}\" of message {}", field, position);
  const auto it = message.find(field);
  if (it == message.end()) {
    ThrowBadRow(origin, name + " is missing", "Give every message a role and a content");
  }
  return RequireString(*it, name, origin);
}

std::vector<ChatMessage> ReadMessages(const Json& value, std::string_view origin) {
  if (!value.is_array()) ThrowWrongType(origin, "\"messages\"", value, "array");
  std::vector<ChatMessage> messages;
  for (const Json& message : value) {
    const size_t position = messages.size() + 1;
    if (!message.is_object()) {
      ThrowWrongType(origin, fmt::format("message {}", position), message, "object");
    }
    messages.push_back({ReadMessageField(message, "role", position, origin),
                        ReadMessageField(message, "content", position, origin)});
  }
  return messages;
}

}  // namespace

DocumentEncoder::DocumentEncoder(const Tokenizer& tokenizer, ChatFormat chat_format)
    : tokenizer_(tokenizer), chat_format_(chat_format) {
  RequireControlTokens(chat_format, tokenizer);
}

std::vector<int32_t> DocumentEncoder::Encode(const Document& document) const {
  if (!document.is_json) return EncodeText(document.content);
  if (document.content.find_first_not_of(kWhitespace) == std::string::npos) return {};
  return EncodeRow(document);
}

std::vector<int32_t> DocumentEncoder::EncodeRow(const Document& document) const {
  const std::string& origin = document.origin;
  const Json row = ParseRow(document);
  if (const Json* ids = FindField(row, "input_ids")) {
    return ReadIds(*ids, tokenizer_.vocab_size(), origin);
  }
  if (const Json* messages = FindField(row, "messages")) {
    return EncodeText(RenderChat(chat_format_, ReadMessages(*messages, origin), origin));
  }
  if (const Json* text = FindField(row, "text")) {
    return EncodeText(RequireString(*text, "\"text\"", origin));
  }
  ThrowBadRow(origin, "the object has none of the fields \"text\", \"messages\" and \"input_ids\"",
              "Rename the field that holds the text");
}

std::vector<int32_t> DocumentEncoder::EncodeText(std::string_view text) const {
  std::vector<int32_t> ids = tokenizer_.Encode(text);
  if (ids.empty()) return ids;
  const auto bos = tokenizer_.bos_id();
  if (bos && tokenizer_.adds_bos() && ids.front() != *bos) ids.insert(ids.begin(), *bos);
  const auto eos = tokenizer_.eos_id();
  if (eos && tokenizer_.adds_eos() && ids.back() != *eos) ids.push_back(*eos);
  return ids;
}

}  // namespace vernier::datasets
