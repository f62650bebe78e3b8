#include "recipes/option.h"

#include <algorithm>
#include <cmath>

namespace vernier::recipes {

bool Option::IsPath() const {
  return kind == ValueKind::kFile || kind == ValueKind::kDirectory || kind == ValueKind::kPath;
}

bool Option::TakenBy(std::string_view command) const { return HasWord(commands, command); }

bool Option::ReplacesField() const {
  return !pointer.empty() && (pointer.find('*') == std::string::npos || arity == Arity::kMany);
}

bool HasWord(std::string_view text, std::string_view word) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (text.substr(begin, end - begin) == word) return true;
    begin = end + 1;
  }
  return false;
}

Json ValueToJson(const std::filesystem::path& path) { return path.string(); }

Json ValueToJson(double number) {
  constexpr double kExact = 1e15;
  if (std::trunc(number) == number && std::abs(number) < kExact) {
    return static_cast<int64_t>(number);
  }
  return number;
}

Json ValueToJson(const MemoryBound& bound) {
  return bound.percent != 0 ? Json(bound.Text()) : Json(bound.bytes);
}

void ValueFromJson(const Json& json, const FieldContext& context, std::filesystem::path& path) {
  path = (context.base / json.get<std::string>()).lexically_normal();
}

void ValueFromJson(const Json& json, const FieldContext& context, uint64_t& number) {
  number =
      json.is_string() ? ParseSize(json.get<std::string>(), context.source) : json.get<uint64_t>();
}

void ValueFromJson(const Json& json, const FieldContext& context, MemoryBound& bound) {
  bound = json.is_string() ? ParseMemory(json.get<std::string>(), context.source)
                           : MemoryBound(json.get<uint64_t>());
}

RecipeField Required(RecipeField field) {
  field.required = true;
  return field;
}

}  // namespace vernier::recipes
