#include "datasets/chat_templates.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefaultName = "default";
constexpr std::string_view kNameForTools = "tool_use";
constexpr std::string_view kField = "chat_template";
constexpr std::string_view kJinja = ".jinja";
constexpr std::string_view kTokenSuffix = "_token";

// Tokens that transformers' classes have without being told.
struct ClassToken {
  std::string_view tokenizer_class, key, token;
};
constexpr std::array<ClassToken, 6> kClassTokens = {{
    {"LlamaTokenizer", "bos_token", "<s>"},
    {"LlamaTokenizer", "eos_token", "</s>"},
    {"LlamaTokenizer", "unk_token", "<unk>"},
    {"Qwen2Tokenizer", "eos_token", "<|endoftext|>"},
    {"Qwen2Tokenizer", "unk_token", "<|endoftext|>"},
    {"Qwen2Tokenizer", "pad_token", "<|endoftext|>"},
}};

std::map<std::string, std::string> ReadSpecialTokens(const JsonPart& config) {
  std::map<std::string, std::string> tokens;
  const std::string tokenizer_class =
      config.Has("tokenizer_class") ? config.Text("tokenizer_class") : "";
  for (const ClassToken& row : kClassTokens) {
    const bool is_of_class = tokenizer_class.starts_with(row.tokenizer_class);
    if (is_of_class && !config.value().contains(row.key)) tokens.emplace(row.key, row.token);
  }
  for (const auto& [key, value] : config.value().items()) {
    if (!key.ends_with(kTokenSuffix) || (!value.is_string() && !value.is_object())) continue;
    tokens.emplace(key, *config.TokenText(key));
  }
  return tokens;
}

ChatTemplates::Texts ReadTexts(const JsonPart& config) {
  ChatTemplates::Texts texts;
  if (!config.Has(kField)) return texts;
  if (config.At(kField).value().is_array()) {
    for (const JsonPart& entry : config.Elements(kField)) {
      texts.insert_or_assign(entry.Text("name"), entry.Text("template"));
    }
  } else {
    texts.emplace(kDefaultName, config.Text(kField));
  }
  return texts;
}

std::string ReadTemplate(const fs::path& path) {
  std::string text = ReadWholeFile(path);
  if (WellFormedPrefix(text) == text.size()) return text;
  throw Error(ErrorCode::kBadTokenizer, path.string(), "is not UTF-8",
              "Restore the published file");
}

// chat_template.json of processors, an older place.
std::string TextOfJson(const fs::path& path) {
  const std::string text = ReadWholeFile(path);
  const nlohmann::json document = ParseTokenizerJson(text, path.string());
  return JsonPart(document, path.string()).Text(kField);
}

ChatTemplates::Texts ReadFiles(const fs::path& directory) {
  ChatTemplates::Texts texts;
  std::error_code error;
  const fs::path others = directory / "additional_chat_templates";
  for (fs::directory_iterator it(others, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != kJinja) continue;
    texts.emplace(it->path().stem().string(), ReadTemplate(it->path()));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw Error(ErrorCode::kFileOpen, others.string(), error.message(),
                "Check the path and the permissions");
  }
  const fs::path jinja = directory / "chat_template.jinja";
  if (fs::exists(jinja)) {
    texts.insert_or_assign(std::string(kDefaultName), ReadTemplate(jinja));
  }
  return texts;
}

}  // namespace

const std::string* ChatTemplates::Choose(bool has_tools) const {
  auto it = has_tools ? texts.find(kNameForTools) : texts.end();
  if (it == texts.end()) it = texts.find(kDefaultName);
  return it == texts.end() ? nullptr : &it->first;
}

ChatTemplates ReadChatTemplates(const JsonPart& config) {
  ChatTemplates templates;
  templates.origin = config.origin();
  templates.texts = ReadTexts(config);
  templates.special_tokens = ReadSpecialTokens(config);
  return templates;
}

void AddTemplateFiles(const fs::path& directory, ChatTemplates* templates) {
  ChatTemplates::Texts texts = ReadFiles(directory);
  const fs::path json = directory / "chat_template.json";
  if (texts.empty() && templates->empty() && fs::exists(json)) {
    texts.emplace(kDefaultName, TextOfJson(json));
  }
  if (texts.empty()) return;
  templates->texts = std::move(texts);
  templates->origin = directory.string();
}

}  // namespace vernier::datasets
