// Chats as the checkpoint's own templates write them.
#ifndef VERNIER_DATASETS_TEMPLATE_RENDERER_H_
#define VERNIER_DATASETS_TEMPLATE_RENDERER_H_

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/child_process.h"
#include "datasets/chat_row.h"
#include "datasets/chat_templates.h"

namespace vernier::datasets {

// Renders with Jinja itself (Debian's python3-jinja2), in a process beside ours that runs
// render_chat.py, because no other library gives the same texts (docs/data.md). The program
// is started when it is first needed: VERNIER_PYTHON, or else the first of /usr/bin/python3 and
// python3 that has Jinja.
//
// The texts are those of transformers' apply_chat_template, except that the date is fixed, that
// text parts are joined for templates that expect a text, and that templates which fail get the
// arguments of tool calls as objects and an empty content where there is none.
//
// Thread-safe: one chat at a time.
class TemplateRenderer {
 public:
  // Keeps a reference to `templates`.
  explicit TemplateRenderer(const ChatTemplates& templates) : templates_(templates) {}

  // Errors: kNoProgram; kBadTokenizer when a template is no Jinja, or none is for this chat;
  // kBadDataset with `origin` when the template refuses the chat or takes more than a minute or
  // 4 GiB.
  std::string Render(const ChatRow& chat, std::string_view origin);

 private:
  void Start();
  // Whether the program has Jinja.
  bool StartWith(const std::string& program);
  Json Ask(const Json& request, std::string_view origin);

  const ChatTemplates& templates_;
  std::mutex mutex_;
  std::optional<ChildProcess> renderer_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_TEMPLATE_RENDERER_H_
