#include "datasets/json_part.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace vernier::datasets {

nlohmann::json ParseTokenizerJson(std::string_view text, const std::string& origin) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    throw Error(ErrorCode::kBadTokenizer, origin,
                fmt::format("is not valid JSON at byte {}", error.byte), "Download the file again");
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadTokenizer, origin,
                fmt::format("is not valid JSON: {}", error.what()), "Download the file again");
  }
}

JsonPart::JsonPart(const nlohmann::json& value, std::string origin, std::string path)
    : value_(&value), origin_(std::move(origin)), path_(std::move(path)) {}

bool JsonPart::Has(std::string_view key) const {
  if (!value_->is_object()) Refuse("is not an object", "Restore the published file");
  const auto it = value_->find(key);
  return it != value_->end() && !it->is_null();
}

JsonPart JsonPart::At(std::string_view key) const {
  if (!Has(key)) Refuse(fmt::format("lacks \"{}\"", key), "Restore the published file");
  const std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  return JsonPart(*value_->find(key), origin_, path);
}

std::vector<JsonPart> JsonPart::Elements(std::string_view key) const {
  const JsonPart field = At(key);
  if (!field.value().is_array()) field.Refuse("is not an array", "Restore the published file");
  std::vector<JsonPart> elements;
  elements.reserve(field.value().size());
  for (const nlohmann::json& element : field.value()) {
    elements.emplace_back(element, origin_, fmt::format("{}[{}]", field.path_, elements.size()));
  }
  return elements;
}

std::string JsonPart::Text(std::string_view key) const {
  const JsonPart field = At(key);
  if (!field.value().is_string()) field.Refuse("is not a string", "Restore the published file");
  return field.value().get<std::string>();
}

bool JsonPart::Flag(std::string_view key) const {
  const JsonPart field = At(key);
  if (!field.value().is_boolean()) field.Refuse("is not a boolean", "Restore the published file");
  return field.value().get<bool>();
}

bool JsonPart::FlagOr(std::string_view key, bool fallback) const {
  return Has(key) ? Flag(key) : fallback;
}

std::optional<std::string> JsonPart::TokenText(std::string_view key) const {
  if (!Has(key)) return std::nullopt;
  if (At(key).value().is_object()) return At(key).Text("content");
  return Text(key);
}

void JsonPart::Refuse(std::string_view problem, std::string_view remedy) const {
  const std::string subject = path_.empty() ? origin_ : fmt::format("{}: {}", origin_, path_);
  throw Error(ErrorCode::kBadTokenizer, subject, problem, remedy);
}

void JsonPart::RefuseUnsupported(std::string_view what) const {
  Refuse(fmt::format("{} is not supported, and ignoring it would change ids", what),
         "Use a byte-level BPE tokenizer without it, or give the data as \"input_ids\"");
}

}  // namespace vernier::datasets
