#include "datasets/chat_row.h"

#include <fmt/format.h>

#include <initializer_list>

#include "base/error.h"
#include "base/json_error.h"
#include "datasets/row_fields.h"

namespace vernier::datasets {
namespace {

// The field under the first of `names` that the message has, null or not; null without any.
const Json* FindAny(const Json& message, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const auto it = message.find(name);
    if (it != message.end()) return &*it;
  }
  return nullptr;
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

void CheckPart(const Json& part, std::string_view what, std::string_view origin) {
  if (part.is_string()) return;
  if (!part.is_object()) ThrowWrongType(origin, fmt::format("a part of {}", what), part, "object");
  const Json* type = FindField(part, "type");
  const Json* text = FindField(part, "text");
  if (text == nullptr || (type != nullptr && *type != "text")) {
    ThrowBadRow(origin,
                fmt::format("a part of {} is {}, not text", what,
                            type == nullptr ? "without \"text\"" : "of the type " + type->dump()),
                "Remove the row: only text is calibrated on");
  }
  RequireString(*text, fmt::format("\"text\" of a part of {}", what), origin);
}

// Text, parts of text, or null.
Json ReadContent(const Json& message, size_t position, std::string_view origin) {
  const std::string name = fmt::format("\"content\" of message {}", position);
  const Json* content = FindAny(message, {"content", "value"});
  if (content == nullptr && FindField(message, "tool_calls") == nullptr) {
    ThrowBadRow(origin, name + " is missing", "Give every message a role and a content");
  }
  if (content == nullptr || content->is_null()) return nullptr;
  if (content->is_array()) {
    for (const Json& part : *content) CheckPart(part, name, origin);
  } else {
    RequireString(*content, name, origin);
  }
  return *content;
}

void CheckToolCalls(const Json& message, size_t position, std::string_view origin) {
  const Json* calls = FindField(message, "tool_calls");
  if (calls == nullptr || calls->is_array()) return;
  ThrowWrongType(origin, fmt::format("\"tool_calls\" of message {}", position), *calls, "array");
}

Json ReadMessage(const Json& message, size_t position, std::string_view origin) {
  if (!message.is_object()) {
    ThrowWrongType(origin, fmt::format("message {}", position), message, "object");
  }
  CheckToolCalls(message, position, origin);
  const std::string role = ReadRole(message, position, origin);
  const Json content = ReadContent(message, position, origin);
  Json result = Json::object();  // in the message's order, which some templates print
  for (const auto& [key, value] : message.items()) {
    if (key == "role" || key == "from") {
      result["role"] = role;
    } else if (key == "content" || key == "value") {
      result["content"] = content;
    } else {
      result[key] = value;
    }
  }
  return result;
}

// An array, or one that is written as JSON in a string; null when absent, empty or null.
Json ReadList(const Json& row, std::string_view name, std::string_view origin) {
  const Json* field = FindField(row, name);
  if (field == nullptr) return nullptr;
  const std::string what = fmt::format("\"{}\"", name);
  Json list = *field;
  if (field->is_string()) {
    if (field->get_ref<const std::string&>().empty()) return nullptr;
    list = Json::parse(field->get_ref<const std::string&>(), nullptr, /*allow_exceptions=*/false);
  }
  if (list.is_null()) return nullptr;
  if (!list.is_array() || NestsDeeper(list, kMaxJsonDepth)) {
    ThrowWrongType(origin, what, *field, "array");
  }
  for (const Json& element : list) {
    if (!element.is_object()) ThrowWrongType(origin, "an element of " + what, element, "object");
  }
  return list.empty() ? Json() : list;
}

Json ReadVariables(const Json& row, std::string_view origin) {
  const Json* variables = FindField(row, "chat_template_kwargs");
  if (variables == nullptr) return Json::object();
  if (!variables->is_object()) {
    ThrowWrongType(origin, "\"chat_template_kwargs\"", *variables, "object");
  }
  return *variables;
}

}  // namespace

ChatRow ReadChatRow(const Json& row, const Json& messages, std::string_view field,
                    std::string_view origin) {
  if (!messages.is_array()) {
    ThrowWrongType(origin, fmt::format("\"{}\"", field), messages, "array");
  }
  ChatRow chat;
  for (const Json& message : messages) {
    chat.messages.push_back(ReadMessage(message, chat.messages.size() + 1, origin));
  }
  chat.tools = ReadList(row, "tools", origin);
  chat.documents = ReadList(row, "documents", origin);
  chat.variables = ReadVariables(row, origin);
  return chat;
}

std::string TextOf(const Json& message) {
  const Json* content = FindField(message, "content");
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  for (const Json& part : *content) {
    text += part.is_string() ? part.get<std::string>() : part.at("text").get<std::string>();
  }
  return text;
}

}  // namespace vernier::datasets
