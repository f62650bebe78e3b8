#include "datasets/token_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "datasets/byte_level.h"
#include "datasets/sequence.h"
#include "datasets/space_mark.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

[[noreturn]] void RefuseDecoder(const JsonPart& part) {
  part.Refuse("is a decoder that is not supported here",
              "Use a tokenizer whose decoder is ByteLevel, alone or followed by Fuse, or Replace, "
              "ByteFallback, Fuse and Strip");
}

std::vector<std::string> TypesOf(const std::vector<JsonPart>& steps) {
  std::vector<std::string> types;
  for (const JsonPart& step : steps) types.push_back(step.Text("type"));
  return types;
}

void RequireSpaceMark(const JsonPart& replace) {
  if (replace.At("pattern").Text("String") == kSpaceMark && replace.Text("content") == " ") return;
  RefuseDecoder(replace);
}

// How many spaces a Strip takes off the beginning.
size_t StrippedSpaces(const JsonPart& strip) {
  const nlohmann::json& fields = strip.value();
  const auto count = [&](const char* key) {
    const auto found = fields.find(key);
    return found != fields.end() && found->is_number_unsigned() ? found->get<size_t>() : 0;
  };
  if (strip.Text("content") != " " || count("stop") != 0) RefuseDecoder(strip);
  return count("start");
}

std::string WithSpaces(std::string_view token) {
  std::string text(token);
  for (size_t at = 0; (at = text.find(kSpaceMark, at)) != std::string::npos; ++at) {
    text.replace(at, kSpaceMark.size(), " ");
  }
  return text;
}

// Appends bytes of single tokens: text if they are UTF-8, else one U+FFFD each.
void AppendBytes(std::string* bytes, std::string* text) {
  if (RepairUtf8(*bytes) == *bytes) {
    *text += *bytes;
  } else {
    for (size_t i = 0; i < bytes->size(); ++i) *text += kReplacementCharacter;
  }
  bytes->clear();
}

}  // namespace

int ByteOfToken(std::string_view token) {
  constexpr size_t kLength = 6;
  if (token.size() != kLength || !token.starts_with("<0x") || !token.ends_with('>')) return -1;
  int byte = 0;
  const char* begin = token.data() + 3;
  const auto [stop, error] = std::from_chars(begin, begin + 2, byte, 16);
  return error == std::errc() && stop == begin + 2 ? byte : -1;
}

std::string TokenOfByte(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

TokenDecoder TokenDecoder::FromJson(const JsonPart& file) {
  const JsonPart part = file.At("decoder");
  const std::vector<JsonPart> steps = FlattenSequence(part, "decoders");
  const std::vector<std::string> types = TypesOf(steps);
  TokenDecoder decoder;
  using Types = std::vector<std::string>;
  if (types == Types{"ByteLevel"} || types == Types{"ByteLevel", "Fuse"}) return decoder;
  const Types pieces = {"Replace", "ByteFallback", "Fuse", "Strip"};
  const bool strips = types == pieces;
  if (!strips && types != Types(pieces.begin(), pieces.end() - 1)) RefuseDecoder(part);
  RequireSpaceMark(steps.front());
  decoder.byte_level_ = false;
  if (strips) decoder.stripped_spaces_ = StrippedSpaces(steps.back());
  return decoder;
}

std::string TokenDecoder::Decode(std::span<const std::string_view> tokens) const {
  if (!byte_level_) return DecodePieces(tokens);
  std::string bytes;
  for (const std::string_view token : tokens) bytes += AlphabetToBytes(token);
  return RepairUtf8(bytes);
}

std::string TokenDecoder::DecodePieces(std::span<const std::string_view> tokens) const {
  std::string text, bytes;
  for (const std::string_view token : tokens) {
    if (const int byte = ByteOfToken(token); byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    AppendBytes(&bytes, &text);
    text += WithSpaces(token);
  }
  AppendBytes(&bytes, &text);
  const size_t spaces = std::min(text.find_first_not_of(' '), text.size());
  return text.substr(std::min(spaces, stripped_spaces_));
}

}  // namespace vernier::datasets
