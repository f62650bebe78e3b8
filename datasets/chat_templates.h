// The chat templates that a checkpoint brings, as transformers finds them.
#ifndef VERNIER_DATASETS_CHAT_TEMPLATES_H_
#define VERNIER_DATASETS_CHAT_TEMPLATES_H_

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "datasets/json_part.h"

namespace vernier::datasets {

struct ChatTemplates {
  using Texts = std::map<std::string, std::string, std::less<>>;

  std::string origin = {};                                 // where they are from, for messages
  Texts texts = {};                                        // Jinja by name, e.g. "default"
  std::map<std::string, std::string> special_tokens = {};  // "bos_token": "<s>"

  bool empty() const { return texts.empty(); }
  // The name of the template for a chat: "tool_use" for one with tools where there is one, else
  // "default"; null when all names are others.
  const std::string* Choose(bool has_tools) const;
};

// Those of tokenizer_config.json, whose chat_template is a text or a list of {name, template}, with
// the special tokens that it names. Errors: kBadTokenizer.
ChatTemplates ReadChatTemplates(const JsonPart& config);

// Takes those of the files of `directory` instead, if there are any: chat_template.jinja and
// additional_chat_templates/NAME.jinja; and without any so far, that of the older
// chat_template.json ({"chat_template": text}). Errors: kBadTokenizer, kFileOpen, kFileRead.
void AddTemplateFiles(const std::filesystem::path& directory, ChatTemplates* templates);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_CHAT_TEMPLATES_H_
