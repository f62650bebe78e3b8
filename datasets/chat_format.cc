#include "datasets/chat_format.h"

#include <fmt/format.h>

#include <vector>

#include "base/error.h"

namespace vernier::datasets {
namespace {

constexpr std::string_view kDeepSeekUser = "<｜User｜>";
constexpr std::string_view kDeepSeekAssistant = "<｜Assistant｜>";
constexpr std::string_view kDeepSeekEnd = "<｜end▁of▁sentence｜>";
constexpr std::string_view kChatMlStart = "<|im_start|>";
constexpr std::string_view kChatMlEnd = "<|im_end|>";

std::vector<std::string_view> ControlTokens(ChatFormat format) {
  switch (format) {
    case ChatFormat::kPlain:
      return {};
    case ChatFormat::kDeepSeek:
      return {kDeepSeekUser, kDeepSeekAssistant, kDeepSeekEnd};
    case ChatFormat::kChatMl:
      return {kChatMlStart, kChatMlEnd};
  }
  return {};
}

std::string RenderDeepSeek(const ChatMessage& message, std::string_view origin) {
  if (message.role == "system") return message.content;
  if (message.role == "user") return fmt::format("{}{}", kDeepSeekUser, message.content);
  if (message.role == "assistant") {
    return fmt::format("{}{}{}", kDeepSeekAssistant, message.content, kDeepSeekEnd);
  }
  throw Error(ErrorCode::kBadDataset, origin,
              fmt::format("the DeepSeek chat format has no role \"{}\"", message.role),
              "Use the roles system, user and assistant, or another chat format");
}

std::string RenderChatMl(const ChatMessage& message) {
  return fmt::format("{}{}\n{}{}\n", kChatMlStart, message.role, message.content, kChatMlEnd);
}

std::string RenderMessage(ChatFormat format, const ChatMessage& message, std::string_view origin) {
  switch (format) {
    case ChatFormat::kPlain:
      return message.content;
    case ChatFormat::kDeepSeek:
      return RenderDeepSeek(message, origin);
    case ChatFormat::kChatMl:
      return RenderChatMl(message);
  }
  return {};
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

std::string RenderChat(ChatFormat format, std::span<const ChatMessage> messages,
                       std::string_view origin) {
  const std::string_view separator = format == ChatFormat::kPlain ? "\n" : "";
  std::string text;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) text += separator;
    text += RenderMessage(format, messages[i], origin);
  }
  return text;
}

}  // namespace vernier::datasets
