#include "jobs/tokenize.h"

#include <fmt/format.h>

#include <cstdint>
#include <istream>
#include <iterator>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "datasets/chat_row.h"
#include "datasets/template_renderer.h"
#include "datasets/tokenizer.h"

namespace vernier::jobs {
namespace {

// A line must be good in itself: the command's output has one line for each of its input.
[[noreturn]] void RefuseLine(const std::string& origin, std::string_view problem) {
  throw Error(ErrorCode::kBadJson, origin, problem,
              "Write {\"text\": \"...\"} or {\"messages\": [...]} to encode or {\"ids\": [...]} to "
              "decode");
}

std::vector<int32_t> ParseIds(const Json& values, const std::string& origin) {
  if (!values.is_array()) RefuseLine(origin, "\"ids\" is not an array");
  std::vector<int32_t> ids;
  ids.reserve(values.size());
  for (const Json& value : values) {
    const bool is_id = value.is_number_unsigned() &&
                       value.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()};
    if (!is_id) RefuseLine(origin, fmt::format("entry {} of \"ids\" is no token id", ids.size()));
    ids.push_back(value.get<int32_t>());
  }
  return ids;
}

std::string Decode(const datasets::Tokenizer& tokenizer, const Json& values,
                   const std::string& origin) {
  const std::vector<int32_t> ids = ParseIds(values, origin);
  try {
    return tokenizer.Decode(ids);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadTokenIds) throw;
    throw Error(error.code(), origin,
                fmt::format("\"ids\" holds an id that is not among the tokenizer's {}",
                            tokenizer.vocab_size()),
                "Decode with the tokenizer that made the ids");
  }
}

Json ConvertLine(const datasets::Tokenizer& tokenizer, datasets::TemplateRenderer& renderer,
                 const std::string& line, const std::string& origin) {
  const Json request = ParseJson(line, origin);
  const auto has = [&](const char* key) {
    return request.is_object() && request.contains(key) && !request[key].is_null();
  };
  if (has("text") + has("ids") + has("messages") + has("conversations") != 1) {
    RefuseLine(
        origin,
        "is not an object with one of \"text\", \"messages\", \"conversations\" and \"ids\"");
  }
  if (has("ids")) return {{"text", Decode(tokenizer, request["ids"], origin)}};
  if (has("text")) {
    return {{"ids", tokenizer.Encode(GetField<std::string>(request, "text", origin))}};
  }
  const char* field = has("messages") ? "messages" : "conversations";
  const std::string text =
      renderer.Render(datasets::ReadChatRow(request, request[field], field, origin), origin);
  return {{"text", text}, {"ids", tokenizer.Encode(text)}};
}

void ConvertLines(const datasets::Tokenizer& tokenizer, std::istream& in, std::ostream& out) {
  datasets::TemplateRenderer renderer(tokenizer.chat_templates());
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const std::string origin = fmt::format("standard input, line {}", number);
    out << ConvertLine(tokenizer, renderer, line, origin).dump() << '\n';
  }
}

void EncodeAll(const datasets::Tokenizer& tokenizer, std::istream& in, std::ostream& out) {
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  out << Json(tokenizer.Encode(text)).dump() << '\n';
}

}  // namespace

void Tokenize(const TokenizeSpec& spec, std::istream& in, std::ostream& out) {
  const datasets::Tokenizer tokenizer = datasets::Tokenizer::Load(spec.directory);
  if (spec.jsonl) {
    ConvertLines(tokenizer, in, out);
  } else {
    EncodeAll(tokenizer, in, out);
  }
}

}  // namespace vernier::jobs
