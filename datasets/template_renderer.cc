#include "datasets/template_renderer.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "datasets/render_chat.h"
#include "datasets/row_fields.h"

namespace vernier::datasets {
namespace {

constexpr std::chrono::seconds kRenderPatience{60};
constexpr const char* kPythonVariable = "VERNIER_PYTHON";

std::vector<std::string> Pythons() {
  if (const char* chosen = std::getenv(kPythonVariable)) return {chosen};
  return {"/usr/bin/python3", "python3"};
}

[[noreturn]] void ThrowBadTemplate(const ChatTemplates& templates, std::string_view problem) {
  throw Error(ErrorCode::kBadTokenizer, templates.origin, problem,
              "Restore the published file, or choose another chat_format");
}

[[noreturn]] void ThrowNoTemplate(std::string_view origin) {
  ThrowBadRow(origin, "the checkpoint brings no chat template for this chat",
              "Copy chat_template.jinja from the model's release, or choose another chat_format");
}

}  // namespace

std::string TemplateRenderer::Render(const ChatRow& chat, std::string_view origin) {
  if (templates_.empty()) ThrowNoTemplate(origin);
  const std::string* name = templates_.Choose(!chat.tools.is_null());
  if (name == nullptr) ThrowBadTemplate(templates_, "has no chat template that is called default");
  const std::lock_guard lock(mutex_);
  if (!renderer_) Start();
  const Json answer = Ask({{"template", *name},
                           {"messages", chat.messages},
                           {"tools", chat.tools},
                           {"documents", chat.documents},
                           {"variables", chat.variables}},
                          origin);
  if (const Json* broken = FindField(answer, "broken")) {
    ThrowBadTemplate(templates_, fmt::format("the chat template \"{}\" is no Jinja: {}", *name,
                                             broken->get<std::string>()));
  }
  if (const Json* error = FindField(answer, "error")) {
    ThrowBadRow(origin, fmt::format("the chat template refuses it: {}", error->get<std::string>()),
                "Correct or remove the row, or choose another chat_format");
  }
  return answer.at("text").get<std::string>();
}

void TemplateRenderer::Start() {
  for (const std::string& program : Pythons()) {
    if (StartWith(program)) return;
  }
  throw Error(
      ErrorCode::kNoProgram, "chat template", "Python with Jinja is not installed",
      "Install Debian's python3-jinja2, or name a Python that has jinja2 in VERNIER_PYTHON, "
      "or choose another chat_format");
}

bool TemplateRenderer::StartWith(const std::string& program) {
  std::optional<ChildProcess> child = ChildProcess::Start(
      {.arguments = {program, "-I", "-c", RenderChatProgram()}, .patience = kRenderPatience});
  if (!child) return false;
  const Json setup = {{"templates", templates_.texts},
                      {"special_tokens", templates_.special_tokens}};
  child->WriteLine(setup.dump());
  const std::optional<std::string> line = child->ReadLine();
  ThrowIfInterrupted();
  if (!line) {
    if (child->Wait() == kNoJinjaStatus) return false;
    throw Error(ErrorCode::kNoProgram, program, "cannot render: " + child->LastComplaint(),
                "Name a Python that has jinja2 in VERNIER_PYTHON");
  }
  renderer_.emplace(std::move(*child));
  return true;
}

Json TemplateRenderer::Ask(const Json& request, std::string_view origin) {
  renderer_->WriteLine(request.dump());
  if (const std::optional<std::string> line = renderer_->ReadLine()) return Json::parse(*line);
  ThrowIfInterrupted();
  renderer_.reset();
  ThrowBadRow(
      origin,
      fmt::format("the chat template does not come to an end in {} s", kRenderPatience.count()),
      "Remove the row, or choose another chat_format");
}

}  // namespace vernier::datasets
