#include "datasets/chat_format.h"

#include <fmt/format.h>

#include <vector>

#include "base/error.h"
#include "datasets/row_fields.h"

namespace vernier::datasets {
namespace {

constexpr std::string_view kDeepSeekUser = "<｜User｜>";
constexpr std::string_view kDeepSeekAssistant = "<｜Assistant｜>";
constexpr std::string_view kDeepSeekEnd = "<｜end▁of▁sentence｜>";
constexpr std::string_view kChatMlStart = "<|im_start|>";
constexpr std::string_view kChatMlEnd = "<|im_end|>";

std::vector<std::string_view> ControlTokens(ChatFormat format) {
  switch (format) {
    case ChatFormat::kAuto:
    case ChatFormat::kTemplate:
    case ChatFormat::kPlain:
      return {};
    case ChatFormat::kDeepSeek:
      return {kDeepSeekUser, kDeepSeekAssistant, kDeepSeekEnd};
    case ChatFormat::kChatMl:
      return {kChatMlStart, kChatMlEnd};
  }
  return {};
}

std::string RoleOf(const Json& message) { return message.at("role").get<std::string>(); }

void RefuseToolCalls(const Json& message, std::string_view format, std::string_view origin) {
  if (FindField(message, "tool_calls") == nullptr) return;
  ThrowBadRow(origin, fmt::format("the {} chat format has no tool calls", format),
              "Use the chat format \"template\", with a checkpoint that has one, or \"plain\"");
}

// The content, then the calls as one line of JSON each, as they were written.
std::string RenderPlain(const Json& message) {
  std::string text = TextOf(message);
  const Json* calls = FindField(message, "tool_calls");
  if (calls == nullptr) return text;
  for (const Json& call : *calls) {
    const Json* function = call.is_object() ? FindField(call, "function") : nullptr;
    text += (text.empty() ? "" : "\n") + (function == nullptr ? call : *function).dump();
  }
  return text;
}

std::string RenderDeepSeek(const Json& message, std::string_view origin) {
  RefuseToolCalls(message, "DeepSeek", origin);
  const std::string role = RoleOf(message), content = TextOf(message);
  if (role == "system") return content;
  if (role == "user") return fmt::format("{}{}", kDeepSeekUser, content);
  if (role == "assistant") return fmt::format("{}{}{}", kDeepSeekAssistant, content, kDeepSeekEnd);
  ThrowBadRow(origin, fmt::format("the DeepSeek chat format has no role \"{}\"", role),
              "Use the roles system, user and assistant, or another chat format");
}

std::string RenderChatMl(const Json& message, std::string_view origin) {
  RefuseToolCalls(message, "ChatML", origin);
  return fmt::format("{}{}\n{}{}\n", kChatMlStart, RoleOf(message), TextOf(message), kChatMlEnd);
}

std::string RenderMessage(ChatFormat format, const Json& message, std::string_view origin) {
  if (format == ChatFormat::kDeepSeek) return RenderDeepSeek(message, origin);
  if (format == ChatFormat::kChatMl) return RenderChatMl(message, origin);
  return RenderPlain(message);
}

}  // namespace

void RequireControlTokens(ChatFormat format, const Tokenizer& tokenizer) {
  for (const std::string_view token : ControlTokens(format)) {
    if (tokenizer.TokenId(token)) continue;
    throw Error(ErrorCode::kBadDataset, "chat format",
                fmt::format("the tokenizer has no control token {}", token),
                "Choose the chat format that the model was trained with, or the plain one");
  }
}

std::string RenderChat(ChatFormat format, const ChatRow& chat, std::string_view origin) {
  const std::string_view separator = format == ChatFormat::kPlain ? "\n" : "";
  std::string text;
  for (size_t i = 0; i < chat.messages.size(); ++i) {
    if (i > 0) text += separator;
    text += RenderMessage(format, chat.messages[i], origin);
  }
  return text;
}

}  // namespace vernier::datasets
