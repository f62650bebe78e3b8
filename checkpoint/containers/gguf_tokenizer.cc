#include "checkpoint/containers/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/containers/gguf_pre_tokenizer.h"

namespace vernier::checkpoint::gguf {
namespace {

namespace fs = std::filesystem;

// llama.h, enum llama_token_type.
enum TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// Of tokenizers with sentencepiece's scores: what no merge makes.
constexpr float kNoScore = -1000.0F;

struct SpecialToken {
  std::string_view name;  // "bos": bos_token in tokenizer_config.json, bos_token_id in config.json
  std::string_view key;
};
constexpr auto kSpecialTokens = std::to_array<SpecialToken>({
    {"bos", "tokenizer.ggml.bos_token_id"},
    {"eos", "tokenizer.ggml.eos_token_id"},
    {"unk", "tokenizer.ggml.unknown_token_id"},
    {"sep", "tokenizer.ggml.seperator_token_id"},
    {"pad", "tokenizer.ggml.padding_token_id"},
    {"mask", "tokenizer.ggml.mask_token_id"},
});

struct Token {
  std::string text;
  TokenType type = kUnused;
  float score = 0;
};

// Not Json: its look-up by name is linear, and a vocabulary has 100,000 names.
using nlohmann::json;

json ReadIfThere(const fs::path& path) {
  return fs::is_regular_file(path) ? json::parse(ReadWholeFile(path)) : json::object();
}

// Tokens that are control tokens by their look, though their tokenizer calls them ordinary.
bool LooksSpecial(std::string_view text) {
  const auto between = [&](std::string_view begin, std::string_view end) {
    return text.size() >= begin.size() + end.size() && text.starts_with(begin) &&
           text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || between("<|", "|>") || between("<｜", "｜>") ||
         between("<unused", ">");
}

bool IsByteToken(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

class TokenizerWriter {
 public:
  TokenizerWriter(const fs::path& directory, const Json& config, int64_t vocab_size)
      : path_(directory / "tokenizer.json"),
        settings_path_(directory / "tokenizer_config.json"),
        config_(config),
        template_(directory / "chat_template.jinja"),
        tokens_(static_cast<size_t>(vocab_size)) {}

  // A part of another type than it should have is the file's fault, wherever it is met.
  GgufMetadata Write() {
    try {
      json_ = ReadIfThere(path_);
      settings_ = ReadIfThere(settings_path_);
      WriteAll();
    } catch (const nlohmann::json::exception& error) {
      Fail(fmt::format("it or tokenizer_config.json is malformed: {}", error.what()));
    }
    return std::move(metadata_);
  }

 private:
  void WriteAll() {
    const json& model = Model();
    const bool scores = model.value("byte_fallback", false);
    ReadVocabulary(model);
    ReadAddedTokens();
    Add("tokenizer.ggml.model", scores ? "llama" : "gpt2");
    Add("tokenizer.ggml.pre", scores ? "default" : PreTokenizer());
    AddTokens(scores ? Scores(model) : std::vector<float>());
    if (!scores) Add("tokenizer.ggml.merges", Merges(model));
    AddSpecialTokens();
    AddFlags();
    AddChatTemplate();
  }

  void Add(std::string_view key, GgufValue value) {
    metadata_.push_back({std::string(key), std::move(value)});
  }

  [[noreturn]] void Fail(const std::string& problem) const {
    throw Error(ErrorCode::kBadTokenizer, path_.string(), problem,
                "Convert a copy of the checkpoint without tokenizer.json: the GGUF file then takes "
                "token ids alone");
  }

  const json& Model() const {
    const auto model = json_.find("model");
    if (model == json_.end() || !model->is_object() || model->value("type", "BPE") != "BPE" ||
        !model->contains("vocab") || !model->at("vocab").is_object()) {
      Fail("holds no BPE model, and llama.cpp's other kinds are not written");
    }
    return *model;
  }

  std::string PreTokenizer() const {
    const std::string_view name = PreTokenizerName(json_.value("pre_tokenizer", json()));
    if (name.empty()) Fail("its pre_tokenizer is none that llama.cpp is known to have");
    return std::string(name);
  }

  Token& At(const std::string& text, const json& id) {
    const int64_t index = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (index < 0 || index >= static_cast<int64_t>(tokens_.size())) {
      Fail(fmt::format("gives the token \"{}\" an id outside the {} of config.json's vocab_size",
                       text, tokens_.size()));
    }
    return tokens_[static_cast<size_t>(index)];
  }

  void ReadVocabulary(const json& model) {
    const std::string unknown = model.contains("unk_token") && model["unk_token"].is_string()
                                    ? model["unk_token"].get<std::string>()
                                    : std::string();
    for (const auto& [text, id] : model["vocab"].items()) {
      TokenType type = IsByteToken(text) ? kByte : kNormal;
      if (!unknown.empty() && text == unknown) type = kUnknown;
      At(text, id) = {text, type, kNoScore};
    }
  }

  void ReadAddedTokens() {
    for (const json& added : json_.value("added_tokens", json::array())) {
      std::string text = added.value("content", "");
      Token& token = At(text, added.value("id", json()));
      const bool control = added.value("special", false) || LooksSpecial(text);
      by_text_.emplace(text, static_cast<uint32_t>(&token - tokens_.data()));
      if (token.type == kUnknown) continue;
      token = {std::move(text), control ? kControl : kUserDefined, kNoScore};
    }
  }

  void AddTokens(std::vector<float> scores) {
    std::vector<std::string> texts;
    std::vector<int32_t> types;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const bool unused = tokens_[i].type == kUnused;
      texts.push_back(unused ? fmt::format("[PAD{}]", i) : tokens_[i].text);
      types.push_back(tokens_[i].type);
    }
    Add("tokenizer.ggml.tokens", std::move(texts));
    if (!scores.empty()) Add("tokenizer.ggml.scores", std::move(scores));
    Add("tokenizer.ggml.token_type", std::move(types));
  }

  // The halves of a merge, in the form of either version of the file.
  std::pair<std::string, std::string> HalvesOf(const json& merge) const {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      return {merge[0], merge[1]};
    }
    const std::string text = merge.is_string() ? merge.get<std::string>() : std::string();
    const size_t space = text.find(' ');
    if (space == std::string::npos) Fail("has a merge that is none");
    return {text.substr(0, space), text.substr(space + 1)};
  }

  // llama.cpp splits them at the space: one that is a half's is written as the character that
  // byte-level vocabularies have for it.
  static std::string WithoutSpaces(std::string half) {
    for (size_t at = half.find(' '); at != std::string::npos; at = half.find(' ', at)) {
      half.replace(at, 1, "Ġ");
    }
    return half;
  }

  std::vector<std::string> Merges(const json& model) const {
    std::vector<std::string> merges;
    for (const json& merge : model.value("merges", json::array())) {
      auto [left, right] = HalvesOf(merge);
      merges.push_back(WithoutSpaces(std::move(left)) + " " + WithoutSpaces(std::move(right)));
    }
    return merges;
  }

  // llama.cpp merges the pair whose result has the highest score: the earlier a merge, the higher.
  std::vector<float> Scores(const json& model) const {
    std::unordered_map<std::string, float> by_result;
    float rank = 0;
    for (const json& merge : model.value("merges", json::array())) {
      const auto [left, right] = HalvesOf(merge);
      by_result.try_emplace(left + right, -rank++);
    }
    std::vector<float> scores;
    for (const Token& token : tokens_) {
      const auto found = token.type == kNormal ? by_result.find(token.text) : by_result.end();
      scores.push_back(found == by_result.end() ? kNoScore : found->second);
    }
    return scores;
  }

  std::string TextOfSetting(const std::string& name) const {
    const auto entry = settings_.find(name);
    if (entry == settings_.end()) return {};
    if (entry->is_string()) return *entry;
    return entry->is_object() ? entry->value("content", "") : std::string();
  }

  // By text among the added tokens, or by the number in config.json.
  std::optional<uint32_t> IdOf(std::string_view name) const {
    const auto found = by_text_.find(TextOfSetting(std::string(name) + "_token"));
    if (found != by_text_.end()) return found->second;
    const auto id = config_.find(std::string(name) + "_token_id");
    if (id == config_.end() || !id->is_number_unsigned() || *id >= tokens_.size()) return {};
    return id->get<uint32_t>();
  }

  void AddSpecialTokens() {
    for (const SpecialToken& special : kSpecialTokens) {
      if (const auto id = IdOf(special.name)) Add(special.key, *id);
    }
  }

  // Whether a text gets a token before and behind it: what the post-processor does, or else what
  // tokenizer_config.json says.
  void AddFlags() {
    std::map<std::string, bool> flags;
    const json post = json_.value("post_processor", json());
    if (post.is_object()) {
      const json parts = post.value("processors", json::array({post}));
      for (const json& part : parts) ReadPostProcessor(part, flags);
    }
    for (const char* name : {"bos", "eos"}) {
      const auto said = settings_.find(fmt::format("add_{}_token", name));
      if (said != settings_.end() && said->is_boolean()) flags.try_emplace(name, *said);
    }
    for (const auto& [name, value] : flags) {
      Add(fmt::format("tokenizer.ggml.add_{}_token", name), value);
    }
    const auto prefix = settings_.find("add_prefix_space");
    if (prefix != settings_.end() && prefix->is_boolean()) {
      Add("tokenizer.ggml.add_space_prefix", prefix->get<bool>());
    } else if (Model().value("byte_fallback", false) && !PrependsSpace()) {
      Add("tokenizer.ggml.add_space_prefix", false);  // absent means that it does
    }
  }

  // Whether a text is read as if it began with a space.
  bool PrependsSpace() const {
    const json normalizer = json_.value("normalizer", json());
    const json pre_tokenizer = json_.value("pre_tokenizer", json());
    if (normalizer.is_object()) {
      for (const json& part : normalizer.value("normalizers", json::array({normalizer}))) {
        if (part.value("type", "") == "Prepend") return true;
      }
    }
    return pre_tokenizer.is_object() && pre_tokenizer.value("type", "") == "Metaspace" &&
           pre_tokenizer.value("prepend_scheme", "always") != "never" &&
           pre_tokenizer.value("add_prefix_space", true);
  }

  static std::string SpecialOf(const json& piece) {
    const json special = piece.value("SpecialToken", json::object());
    return special.value("id", "");
  }

  void ReadPostProcessor(const json& part, std::map<std::string, bool>& flags) const {
    const std::string type = part.value("type", "");
    if (type == "ByteLevel") {
      flags.try_emplace("bos", false);
      flags.try_emplace("eos", false);
    }
    const json single = part.value("single", json::array());
    if (type != "TemplateProcessing" || single.size() < 2) return;
    const std::string first = SpecialOf(single.front()), last = SpecialOf(single.back());
    if (!first.empty()) flags["bos"] = first == TextOfSetting("bos_token");
    if (!last.empty()) flags["eos"] = last == TextOfSetting("eos_token");
  }

  void AddChatTemplate() {
    const auto in_settings = settings_.find("chat_template");
    if (in_settings != settings_.end() && in_settings->is_string()) {
      return Add("tokenizer.chat_template", in_settings->get<std::string>());
    }
    if (in_settings != settings_.end() && in_settings->is_array()) {
      for (const json& choice : *in_settings) {
        if (choice.value("name", "") != "default") continue;
        return Add("tokenizer.chat_template", choice.value("template", ""));
      }
    }
    if (fs::is_regular_file(template_)) Add("tokenizer.chat_template", ReadWholeFile(template_));
  }

  fs::path path_, settings_path_;
  json json_, settings_;
  const Json& config_;
  fs::path template_;
  std::vector<Token> tokens_;
  std::unordered_map<std::string, uint32_t> by_text_;  // of added tokens
  GgufMetadata metadata_;
};

}  // namespace

GgufMetadata TokenizerMetadata(const fs::path& directory, const Json& config, int64_t vocab_size) {
  if (!fs::is_regular_file(directory / "tokenizer.json")) {
    return {{"tokenizer.ggml.model", std::string("none")}};
  }
  return TokenizerWriter(directory, config, vocab_size).Write();
}

}  // namespace vernier::checkpoint::gguf
