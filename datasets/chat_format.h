// Chats as text, in the layouts that models were trained on.
#ifndef VERNIER_DATASETS_CHAT_FORMAT_H_
#define VERNIER_DATASETS_CHAT_FORMAT_H_

#include <span>
#include <string>
#include <string_view>

#include "datasets/calibration_set.h"

namespace vernier::datasets {

struct ChatMessage {
  std::string role;
  std::string content;
};

// Throws kBadDataset naming the first control token of `format` that `tokenizer` lacks: it would be
// read as ordinary characters, which no model has seen in its place.
void RequireControlTokens(ChatFormat format, const Tokenizer& tokenizer);

// The text of a chat, without BOS. kDeepSeek knows the roles system, user and assistant; another is
// kBadDataset, with `origin` as its subject. Layouts: the chat templates of DeepSeek-V3 and Qwen.
std::string RenderChat(ChatFormat format, std::span<const ChatMessage> messages,
                       std::string_view origin);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_CHAT_FORMAT_H_
