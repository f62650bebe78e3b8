#include "recipes/schema_check.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "recipes/recipe_schema.h"
#include "recipes/schema_message.h"

namespace vernier::recipes {
namespace {

// Objects and lists within each other; a recipe needs 4.
constexpr int kMaxDepth = 16;

// valijson writes a place as {"<root>", "[quantize]", "[0]"}.
JsonPath PathOf(const std::vector<std::string>& context) {
  JsonPath path;
  for (size_t i = 1; i < context.size(); ++i) {
    path.push_back(context[i].substr(1, context[i].size() - 2));
  }
  return path;
}

const Json& ValueAt(const Json& document, const JsonPath& path) {
  const Json* value = &document;
  for (const std::string& step : path) {
    value = value->is_array() ? &value->at(std::stoul(step)) : &value->at(step);
  }
  return *value;
}

// A schema, or a part of one, in the validator's own form.
class CompiledSchema {
 public:
  explicit CompiledSchema(const Json& subschema) {
    const nlohmann::json tree = subschema;
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(tree), schema_);
  }

  // The place of the first violation in `value`, innermost first.
  std::optional<JsonPath> FindViolation(const Json& value) const {
    const nlohmann::json tree = value;
    valijson::ValidationResults results;
    const valijson::adapters::NlohmannJsonAdapter target(tree);
    if (valijson::Validator().validate(schema_, target, &results)) return std::nullopt;
    return PathOf(results.begin()->context);
  }

 private:
  valijson::Schema schema_;
};

[[noreturn]] void ThrowBadRecipe(std::string_view origin, const Violation& violation) {
  throw Error(ErrorCode::kBadRecipe, fmt::format("{}: {}", origin, PointerText(violation.path)),
              violation.problem, violation.remedy);
}

// A recipe of another version may differ in anything: say so before anything else.
void CheckVersion(const Json& document, std::string_view origin) {
  if (!document.is_object() || !document.contains("version")) return;
  const JsonPath path = {"version"};
  static const CompiledSchema schema(*FindSubschema(RecipeSchema(), path));
  const Json& version = document.at("version");
  if (!schema.FindViolation(version)) return;
  ThrowBadRecipe(origin, ExplainViolation(RecipeSchema(), path, version));
}

}  // namespace

void CheckDocument(const Json& document, std::string_view origin) {
  CheckVersion(document, origin);
  static const CompiledSchema schema(RecipeSchema());
  const std::optional<JsonPath> path = schema.FindViolation(document);
  if (!path) return;
  ThrowBadRecipe(origin, ExplainViolation(RecipeSchema(), *path, ValueAt(document, *path)));
}

void CheckStructure(std::string_view text, std::string_view origin) {
  std::vector<std::set<std::string>> keys;  // of the objects around the current place
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) {
      throw Error(ErrorCode::kBadRecipe, origin,
                  fmt::format("values nest more than {} deep", kMaxDepth), "Correct the file");
    }
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      throw Error(ErrorCode::kBadRecipe, origin,
                  fmt::format("the field {} stands twice in one object", parsed.dump()),
                  "Remove one of the two");
    }
    return true;
  };
  [[maybe_unused]] const Json visited =
      Json::parse(text, check, /*allow_exceptions=*/true, /*ignore_comments=*/true);
}

void CheckFieldValue(std::string_view pointer, const Json& value, std::string_view given_as) {
  const Json& schema = RecipeSchema();
  JsonPath path;
  for (size_t begin = 1; begin < pointer.size();) {
    const size_t end = std::min(pointer.find('/', begin), pointer.size());
    path.emplace_back(pointer.substr(begin, end - begin));
    begin = end + 1;
  }
  if (!CompiledSchema(*FindSubschema(schema, path)).FindViolation(value)) return;
  const Violation violation = ExplainViolation(schema, path, value);
  throw Error(ErrorCode::kBadArgument, given_as, violation.problem, violation.remedy);
}

}  // namespace vernier::recipes
