// JSON with the order of keys kept (config.json is rewritten with only what must change).
#ifndef VERNIER_BASE_JSON_H_
#define VERNIER_BASE_JSON_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vernier {

using Json = nlohmann::ordered_json;

enum class JsonComments { kRefuse, kAllow };

// Parses `text`; `origin` names it in the error (kBadJson, with line and column). Values that nest
// hundreds deep are kBadJson too, so that functions which descend into the result are safe.
Json ParseJson(std::string_view text, std::string_view origin,
               JsonComments comments = JsonComments::kRefuse);

Json ReadJsonFile(const std::filesystem::path& path, JsonComments comments = JsonComments::kRefuse);

// `object[key]` as T; kBadJson naming origin and key when it is absent or of another type.
template <typename T>
T GetField(const Json& object, std::string_view key, std::string_view origin) {
  const auto it = object.find(key);
  if (it == object.end()) {
    throw Error(ErrorCode::kBadJson, origin, "field \"" + std::string(key) + "\" is missing",
                "Add the field");
  }
  try {
    return it->template get<T>();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kBadJson, origin,
                "field \"" + std::string(key) + "\" has the wrong type: " + it->dump(),
                "Give it the documented type");
  }
}

// As GetField, but `fallback` when the key is absent or null.
template <typename T>
T GetFieldOr(const Json& object, std::string_view key, std::string_view origin, T fallback) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return fallback;
  return GetField<T>(object, key, origin);
}

}  // namespace vernier

#endif  // VERNIER_BASE_JSON_H_
