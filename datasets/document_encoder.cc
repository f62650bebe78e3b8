#include "datasets/document_encoder.h"

#include <fmt/format.h>

#include <initializer_list>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "datasets/chat_format.h"
#include "datasets/special_ids.h"

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

// The field under the first of `names` that the message has, null or not; null without any.
const Json* FindAny(const Json& message, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const auto it = message.find(name);
    if (it != message.end()) return &*it;
  }
  return nullptr;
}

// Text parts of a message, joined: [{"type": "text", "text": ...}, ...].
std::string ReadParts(const Json& parts, std::string_view what, std::string_view origin) {
  std::string text;
  for (const Json& part : parts) {
    if (part.is_string()) {
      text += part.get_ref<const std::string&>();
      continue;
    }
    if (!part.is_object())
      ThrowWrongType(origin, fmt::format("a part of {}", what), part, "object");
    const Json* type = FindField(part, "type");
    const Json* value = FindField(part, "text");
    if (value == nullptr || (type != nullptr && *type != "text")) {
      ThrowBadRow(origin,
                  fmt::format("a part of {} is {}, not text", what,
                              type == nullptr ? "without \"text\"" : "of the type " + type->dump()),
                  "Remove the row: only text is calibrated on");
    }
    text += RequireString(*value, fmt::format("\"text\" of a part of {}", what), origin);
  }
  return text;
}

// ShareGPT's names of roles.
std::string RoleOf(std::string role) {
  if (role == "human") return "user";
  if (role == "gpt") return "assistant";
  return role;
}

std::string ReadRole(const Json& message, size_t position, std::string_view origin) {
  const std::string name = fmt::format("\"role\" of message {}", position);
  const Json* role = FindAny(message, {"role", "from"});
  if (role == nullptr) {
    ThrowBadRow(origin, name + " is missing", "Give every message a role and a content");
  }
  return RoleOf(RequireString(*role, name, origin));
}

// Text, parts of text, or null beside tool calls.
std::string ReadContent(const Json& message, size_t position, std::string_view origin) {
  const std::string name = fmt::format("\"content\" of message {}", position);
  const Json* content = FindAny(message, {"content", "value"});
  const bool calls_tools = FindField(message, "tool_calls") != nullptr;
  if (content == nullptr && !calls_tools) {
    ThrowBadRow(origin, name + " is missing", "Give every message a role and a content");
  }
  if (content == nullptr || content->is_null()) return {};
  if (content->is_array()) return ReadParts(*content, name, origin);
  return RequireString(*content, name, origin);
}

// The calls as one line of JSON each, as they were written.
std::string ReadToolCalls(const Json& message, size_t position, std::string_view origin) {
  const Json* calls = FindField(message, "tool_calls");
  if (calls == nullptr) return {};
  if (!calls->is_array()) {
    ThrowWrongType(origin, fmt::format("\"tool_calls\" of message {}", position), *calls, "array");
  }
  std::string text;
  for (const Json& call : *calls) {
    const Json* function = call.is_object() ? FindField(call, "function") : nullptr;
    text += (text.empty() ? "" : "\n") + (function == nullptr ? call : *function).dump();
  }
  return text;
}

ChatMessage ReadMessage(const Json& message, size_t position, std::string_view origin) {
  if (!message.is_object()) {
    ThrowWrongType(origin, fmt::format("message {}", position), message, "object");
  }
  ChatMessage result{ReadRole(message, position, origin), ReadContent(message, position, origin)};
  const std::string calls = ReadToolCalls(message, position, origin);
  if (!calls.empty()) result.content += (result.content.empty() ? "" : "\n") + calls;
  return result;
}

std::vector<ChatMessage> ReadMessages(const Json& value, std::string_view field,
                                      std::string_view origin) {
  if (!value.is_array()) ThrowWrongType(origin, fmt::format("\"{}\"", field), value, "array");
  std::vector<ChatMessage> messages;
  for (const Json& message : value) {
    messages.push_back(ReadMessage(message, messages.size() + 1, origin));
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
  for (const std::string_view field : {"messages", "conversations"}) {
    const Json* messages = FindField(row, field);
    if (messages == nullptr) continue;
    return EncodeText(RenderChat(chat_format_, ReadMessages(*messages, field, origin), origin));
  }
  if (const Json* text = FindField(row, "text")) {
    return EncodeText(RequireString(*text, "\"text\"", origin));
  }
  ThrowBadRow(origin,
              "the object has none of the fields \"text\", \"messages\", \"conversations\" and "
              "\"input_ids\"",
              "Rename the field that holds the text");
}

std::vector<int32_t> DocumentEncoder::EncodeText(std::string_view text) const {
  std::vector<int32_t> ids = tokenizer_.Encode(text);
  if (ids.empty()) return ids;
  AddPrefix(tokenizer_.prefix(), &ids);
  AddSuffix(tokenizer_.suffix(), &ids);
  return ids;
}

}  // namespace vernier::datasets
