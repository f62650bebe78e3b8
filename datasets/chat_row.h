// The chat of a row of data, checked and with one set of names.
#ifndef VERNIER_DATASETS_CHAT_ROW_H_
#define VERNIER_DATASETS_CHAT_ROW_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace vernier::datasets {

struct ChatRow {
  // Objects with "role" (ShareGPT's human and gpt are user and assistant) and "content": a text, an
  // array of text parts, or null; it is absent only beside "tool_calls". Other fields as they were.
  Json messages = Json::array();
  Json tools;                       // array of OpenAI's function descriptions, or null
  Json documents;                   // array of objects, or null
  Json variables = Json::object();  // chat_template_kwargs
};

// `messages` and the row's fields "tools", "documents" (arrays, or JSON arrays in a string) and
// "chat_template_kwargs"; `field` and `origin` are for messages. Errors: kBadDataset.
ChatRow ReadChatRow(const Json& row, const Json& messages, std::string_view field,
                    std::string_view origin);

// The text of a message's content: the parts joined, nothing for null.
std::string TextOf(const Json& message);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_CHAT_ROW_H_
