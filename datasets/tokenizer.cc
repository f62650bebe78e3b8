#include "datasets/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "datasets/added_tokens.h"
#include "datasets/bpe.h"
#include "datasets/json_part.h"
#include "datasets/normalizer.h"
#include "datasets/post_processor.h"
#include "datasets/pre_tokenizer.h"
#include "datasets/token_decoder.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

constexpr std::string_view kTokenizerFile = "tokenizer.json";
constexpr std::string_view kConfigFile = "tokenizer_config.json";

// Files of tokenizers of other kinds.
constexpr std::array<std::string_view, 5> kOtherFiles = {
    "tokenizer.model", "tekken.json", "tiktoken.model", "vocab.json", "spiece.model"};

void RequireTokenizerFile(const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / kTokenizerFile)) return;
  const auto other = std::ranges::find_if(kOtherFiles, [&](std::string_view name) {
    return std::filesystem::exists(directory / name);
  });
  if (other == kOtherFiles.end()) {
    throw Error(ErrorCode::kBadTokenizer, directory.string(),
                fmt::format("holds no {}", kTokenizerFile),
                "Copy the tokenizer's files from the model's release");
  }
  throw Error(
      ErrorCode::kBadTokenizer, directory.string(),
      fmt::format("holds {}, but no {}", *other, kTokenizerFile),
      "Make one with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
}

}  // namespace

struct Tokenizer::Impl {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokens added;
  TokenDecoder decoder;
  std::optional<int32_t> bos_id;
  std::optional<int32_t> eos_id;
  PostProcessor post_processor;
  ChatTemplates chat_templates;
  std::string fingerprint;

  std::optional<int32_t> Find(std::string_view token) const {
    if (const auto id = added.Find(token)) return id;
    return bpe.vocabulary().Find(token);
  }

  void ReadConfig(const JsonPart& config) {
    chat_templates = ReadChatTemplates(config);
    bos_id = IdOf(config, "bos_token");
    eos_id = IdOf(config, "eos_token");
    if (post_processor.decides) return;
    if (AddsToken(config, "add_bos_token", bos_id)) post_processor.prefix = {*bos_id};
    if (AddsToken(config, "add_eos_token", eos_id)) post_processor.suffix = {*eos_id};
  }

  bool Has(int32_t id) const {
    return added.Token(id) != nullptr || bpe.vocabulary().Token(id) != nullptr;
  }

  void RequireKnownIds(const JsonPart& file) const {
    for (const std::vector<int32_t>* ids : {&post_processor.prefix, &post_processor.suffix}) {
      for (const int32_t id : *ids) {
        if (Has(id)) continue;
        file.At("post_processor")
            .Refuse(fmt::format("adds {}, which is no token's id", id),
                    "Restore the published file");
      }
    }
  }

 private:
  std::optional<int32_t> IdOf(const JsonPart& config, std::string_view key) const {
    const std::optional<std::string> token = config.TokenText(key);
    if (!token) return std::nullopt;
    const std::optional<int32_t> id = Find(*token);
    if (!id) {
      config.Refuse(fmt::format("{} \"{}\" is no token of {}", key, *token, kTokenizerFile),
                    "Take both files from the same model");
    }
    return id;
  }

  static bool AddsToken(const JsonPart& config, std::string_view key, std::optional<int32_t> id) {
    const bool adds = config.FlagOr(key, false);
    if (adds && !id) {
      config.Refuse(fmt::format("{} is true, but the token is not named", key),
                    "Name the token or set the field to false");
    }
    return adds;
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::Load(const std::filesystem::path& directory) {
  RequireTokenizerFile(directory);
  const std::string tokenizer_json = ReadWholeFile(directory / kTokenizerFile);
  const std::filesystem::path config = directory / kConfigFile;
  const std::string config_json =
      std::filesystem::exists(config) ? ReadWholeFile(config) : std::string();
  Tokenizer tokenizer = Parse(tokenizer_json, config_json, directory.string());
  AddTemplateFiles(directory, &tokenizer.impl_->chat_templates);
  return tokenizer;
}

Tokenizer Tokenizer::Parse(std::string_view tokenizer_json, std::string_view config_json,
                           std::string_view origin) {
  const std::string file_name = fmt::format("{}/{}", origin, kTokenizerFile);
  const nlohmann::json document = ParseTokenizerJson(tokenizer_json, file_name);
  const JsonPart file(document, file_name);
  auto impl = std::make_unique<Impl>();
  impl->decoder = TokenDecoder::FromJson(file);
  impl->normalizer = Normalizer::FromJson(file);
  impl->pre_tokenizer = PreTokenizer::FromJson(file);
  impl->bpe = Bpe::FromJson(file.At("model"));
  impl->added = AddedTokens::FromJson(file, impl->bpe.vocabulary(), impl->normalizer);
  impl->post_processor = PostProcessor::FromJson(file);
  impl->RequireKnownIds(file);
  if (!config_json.empty()) {
    const std::string config_name = fmt::format("{}/{}", origin, kConfigFile);
    const nlohmann::json config = ParseTokenizerJson(config_json, config_name);
    impl->ReadConfig(JsonPart(config, config_name));
  }
  impl->fingerprint = HashHex(HashHex(tokenizer_json) + HashHex(config_json));
  return Tokenizer(std::move(impl));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text) const {
  std::vector<int32_t> ids;
  bool at_start = true;
  const std::string well_formed = RepairUtf8(text);
  for (const AddedTokens::Piece& raw : impl_->added.SplitRaw(well_formed)) {
    if (raw.id) {
      ids.push_back(*raw.id);
      at_start = false;
      continue;
    }
    const std::string normalized = impl_->normalizer.Apply(raw.text);
    for (const AddedTokens::Piece& piece : impl_->added.SplitNormalized(normalized)) {
      if (piece.id) {
        ids.push_back(*piece.id);
      } else {
        for (const std::string& word : impl_->pre_tokenizer.Apply(piece.text, at_start)) {
          impl_->bpe.Encode(word, ids);
        }
      }
      at_start = false;
    }
  }
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids) const {
  std::vector<std::string_view> tokens;
  for (const int32_t id : ids) {
    const std::string* token = impl_->added.Token(id);
    if (token == nullptr) token = impl_->bpe.vocabulary().Token(id);
    if (token == nullptr) {
      throw Error(ErrorCode::kBadTokenIds, "token ids",
                  fmt::format("{} is not in the vocabulary of {} ids", id, vocab_size()),
                  "Decode with the tokenizer that made the ids");
    }
    tokens.push_back(*token);
  }
  return impl_->decoder.Decode(tokens);
}

bool Tokenizer::Has(int32_t id) const { return impl_->Has(id); }

int32_t Tokenizer::vocab_size() const {
  return std::max(impl_->bpe.vocabulary().largest_id(), impl_->added.largest_id()) + 1;
}

std::optional<int32_t> Tokenizer::TokenId(std::string_view token) const {
  return impl_->Find(token);
}

const std::string& Tokenizer::fingerprint() const { return impl_->fingerprint; }

std::optional<int32_t> Tokenizer::bos_id() const { return impl_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return impl_->eos_id; }
const std::vector<int32_t>& Tokenizer::prefix() const { return impl_->post_processor.prefix; }
const std::vector<int32_t>& Tokenizer::suffix() const { return impl_->post_processor.suffix; }

const ChatTemplates& Tokenizer::chat_templates() const { return impl_->chat_templates; }

}  // namespace vernier::datasets
