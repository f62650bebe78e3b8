// Chats as text in fixed layouts, for checkpoints without a template.
#ifndef VERNIER_DATASETS_CHAT_FORMAT_H_
#define VERNIER_DATASETS_CHAT_FORMAT_H_

#include <string>
#include <string_view>

#include "datasets/calibration_set.h"
#include "datasets/chat_row.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {

// Throws kBadDataset naming the first control token of `format` that `tokenizer` lacks: it would be
// read as ordinary characters, which no model has seen in its place.
void RequireControlTokens(ChatFormat format, const Tokenizer& tokenizer);

// The text of a chat, without BOS. kDeepSeek knows the roles system, user and assistant, and only
// kPlain has tool calls, as lines of JSON; anything else is kBadDataset, with `origin` as its
// subject. Layouts: the chat templates of DeepSeek-V3 and Qwen. kAuto and kTemplate are none.
std::string RenderChat(ChatFormat format, const ChatRow& chat, std::string_view origin);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_CHAT_FORMAT_H_
