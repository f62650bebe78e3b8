// A value inside tokenizer.json together with its place, so that every complaint names it.
#ifndef VERNIER_DATASETS_JSON_PART_H_
#define VERNIER_DATASETS_JSON_PART_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::datasets {

// The document in `text`; `origin` names the file. Error: kBadTokenizer.
nlohmann::json ParseTokenizerJson(std::string_view text, const std::string& origin);

// A view: the JSON document must outlive it. All failures are Error (kBadTokenizer). Unordered
// JSON, because looking up one of the 100,000 keys of a vocabulary is linear in base/json.h's
// ordered one.
class JsonPart {
 public:
  // `origin` names the file; `path` is the place inside it, empty for the whole document.
  JsonPart(const nlohmann::json& value, std::string origin, std::string path = "");

  const nlohmann::json& value() const { return *value_; }
  const std::string& origin() const { return origin_; }

  // Whether the field is present and not null.
  bool Has(std::string_view key) const;
  // The field, which must be present.
  JsonPart At(std::string_view key) const;
  // The elements of the array field `key`.
  std::vector<JsonPart> Elements(std::string_view key) const;

  // The field as a value of that type.
  std::string Text(std::string_view key) const;
  bool Flag(std::string_view key) const;
  bool FlagOr(std::string_view key, bool fallback) const;
  // A token's text: the field as a string, or as an object that describes an added token. Nothing
  // when it is absent or null.
  std::optional<std::string> TokenText(std::string_view key) const;

  // Throws kBadTokenizer naming the place.
  [[noreturn]] void Refuse(std::string_view problem, std::string_view remedy) const;
  // The same for a value that is well-formed but asks for what is not implemented.
  [[noreturn]] void RefuseUnsupported(std::string_view what) const;

 private:
  const nlohmann::json* value_;
  std::string origin_;
  std::string path_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_JSON_PART_H_
