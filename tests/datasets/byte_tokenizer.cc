#include "tests/datasets/byte_tokenizer.h"

#include <fmt/format.h>

#include "base/json.h"

namespace vernier::datasets {
namespace {

// UTF-8 of a code point below 0x800.
std::string Utf8(int code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0 | (code_point >> 6)),
          static_cast<char>(0x80 | (code_point & 0x3f))};
}

// Byte-level BPE writes printable bytes of Latin-1 as themselves and the others, in order, as the
// characters from U+0100 on.
bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

Json ByteVocabulary() {
  Json vocabulary = Json::object();
  int next_stand_in = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[Utf8(StandsForItself(byte) ? byte : next_stand_in++)] = byte;
  }
  return vocabulary;
}

Json AddedToken(int id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json AddedTokens(const std::vector<std::string>& control_tokens) {
  Json added = Json::array({AddedToken(kBos, "<bos>"), AddedToken(kEos, "<eos>")});
  int id = kEos;
  for (const std::string& token : control_tokens) added.push_back(AddedToken(++id, token));
  return added;
}

}  // namespace

Tokenizer MakeByteTokenizer(const ByteTokenizerOptions& options) {
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  const Json tokenizer = {
      {"version", "1.0"},
      {"added_tokens", AddedTokens(options.control_tokens)},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model", {{"type", "BPE"}, {"vocab", ByteVocabulary()}, {"merges", Json::array()}}}};
  Json config = {{"bos_token", "<bos>"},
                 {"eos_token", "<eos>"},
                 {"add_bos_token", options.adds_bos},
                 {"add_eos_token", options.adds_eos}};
  if (!options.chat_template.empty()) config["chat_template"] = options.chat_template;
  return Tokenizer::Parse(tokenizer.dump(), config.dump(), "byte tokenizer");
}

std::vector<int32_t> ByteIds(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

}  // namespace vernier::datasets
