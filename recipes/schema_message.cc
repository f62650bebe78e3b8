#include "recipes/schema_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace vernier::recipes {
namespace {

constexpr size_t kMaxQuotedValue = 60;

struct Place {
  const Json& schema;     // the whole one
  const Json& subschema;  // of this place
  const JsonPath& path;
  const Json& value;
};

// A place in documents where a field of some name may stand.
struct KnownField {
  std::string name;
  std::string container;  // "/calibration", "an entry of /quantize"
};

std::string Quoted(const Json& value) {
  std::string text = value.dump();
  if (text.size() > kMaxQuotedValue) text = text.substr(0, kMaxQuotedValue) + "...";
  return text;
}

std::string_view JsonTypeName(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_float:
      return "a number with a fraction";
    default:
      return "an integer";
  }
}

std::string_view SchemaTypeName(std::string_view type) {
  if (type == "object") return "an object";
  if (type == "array") return "a list";
  if (type == "string") return "a string";
  if (type == "boolean") return "true or false";
  if (type == "number") return "a number";
  return "an integer";
}

bool HasType(const Json& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "number") return value.is_number();
  return value.is_number_integer();
}

std::vector<std::string> AllowedTypes(const Json& subschema) {
  const auto type = subschema.find("type");
  if (type == subschema.end()) return {};
  if (type->is_string()) return {type->get<std::string>()};
  return type->get<std::vector<std::string>>();
}

std::vector<std::string> Keys(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

void CollectFields(const Json& subschema, const std::string& pointer, const std::string& container,
                   std::vector<KnownField>& fields) {
  if (const auto items = subschema.find("items"); items != subschema.end()) {
    CollectFields(*items, pointer, "an entry of " + pointer, fields);
  }
  const auto properties = subschema.find("properties");
  if (properties == subschema.end()) return;
  for (const auto& [name, child] : properties->items()) {
    fields.push_back({name, container});
    const std::string child_pointer = pointer + "/" + name;
    CollectFields(child, child_pointer, child_pointer, fields);
  }
}

std::optional<Violation> ExplainType(const Place& place) {
  const std::vector<std::string> types = AllowedTypes(place.subschema);
  if (types.empty()) return std::nullopt;
  if (std::ranges::any_of(types, [&](const auto& type) { return HasType(place.value, type); })) {
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const std::string& type : types) names.emplace_back(SchemaTypeName(type));
  return Violation{place.path,
                   fmt::format("{} is {}, not {}", Quoted(place.value), JsonTypeName(place.value),
                               JoinNames(names, " or ")),
                   "Write " + JoinNames(names, " or ")};
}

std::optional<Violation> ExplainConst(const Place& place) {
  const auto expected = place.subschema.find("const");
  if (expected == place.subschema.end() || *expected == place.value) return std::nullopt;
  return Violation{place.path, fmt::format("{} is not supported", Quoted(place.value)),
                   fmt::format("This version of Vernier reads only {}", expected->dump())};
}

std::optional<Violation> ExplainEnum(const Place& place) {
  const auto allowed = place.subschema.find("enum");
  if (allowed == place.subschema.end()) return std::nullopt;
  const auto names = allowed->get<std::vector<std::string>>();
  std::string remedy = fmt::format("Choose one of {}", JoinNames(names));
  if (place.value.is_string()) {
    const auto word = place.value.get<std::string>();
    if (std::ranges::find(names, word) != names.end()) return std::nullopt;
    const auto near = NearestName(word, names);
    if (near)
      remedy = fmt::format("Perhaps \"{}\" is meant; choose one of {}", *near, JoinNames(names));
  }
  return Violation{place.path, fmt::format("{} is not an allowed value", Quoted(place.value)),
                   remedy};
}

std::optional<Violation> ExplainRepeated(const Place& place) {
  if (!place.subschema.contains("uniqueItems") || !place.value.is_array()) return std::nullopt;
  for (size_t i = 0; i < place.value.size(); ++i) {
    const auto before = place.value.begin() + static_cast<ptrdiff_t>(i);
    if (std::find(place.value.begin(), before, *before) == before) continue;
    return Violation{place.path, fmt::format("{} stands twice in the list", Quoted(*before)),
                     "Remove one of the two"};
  }
  return std::nullopt;
}

std::optional<Violation> ExplainRange(const Place& place) {
  if (!place.value.is_number()) return std::nullopt;
  const auto bound = [&](std::string_view keyword) -> std::optional<double> {
    const auto found = place.subschema.find(keyword);
    if (found == place.subschema.end()) return std::nullopt;
    return found->get<double>();
  };
  const auto value = place.value.get<double>();
  const auto explain = [&](std::string_view keyword, std::string_view word) {
    return Violation{
        place.path, fmt::format("{} is out of range", Quoted(place.value)),
        fmt::format("Write a number {} {}", word, place.subschema.at(std::string(keyword)).dump())};
  };
  if (bound("minimum") > value) return explain("minimum", "of at least");
  if (bound("exclusiveMinimum") >= value) return explain("exclusiveMinimum", "greater than");
  if (const auto maximum = bound("maximum"); maximum && value > *maximum) {
    return explain("maximum", "of at most");
  }
  return std::nullopt;
}

std::optional<Violation> ExplainEmpty(const Place& place) {
  if (place.subschema.contains("minLength") && place.value == "") {
    return Violation{place.path, "is empty", "Give it a value"};
  }
  if (place.subschema.contains("minItems") && place.value.is_array() && place.value.empty()) {
    return Violation{place.path, "is an empty list", "Add an entry"};
  }
  return std::nullopt;
}

std::optional<Violation> ExplainMissing(const Place& place) {
  if (!place.value.is_object()) return std::nullopt;
  const auto required = place.subschema.find("required");
  if (required == place.subschema.end()) return std::nullopt;
  for (const auto& name : required->get<std::vector<std::string>>()) {
    if (place.value.contains(name)) continue;
    return Violation{
        place.path, fmt::format("the field \"{}\" is missing", name),
        fmt::format("Add it: {}",
                    place.subschema["properties"][name]["description"].get<std::string>())};
  }
  return std::nullopt;
}

std::optional<Violation> ExplainAlternatives(const Place& place) {
  const auto alternatives = place.subschema.find("anyOf");
  if (alternatives == place.subschema.end() || !place.value.is_object()) return std::nullopt;
  std::vector<std::string> names;
  for (const Json& alternative : *alternatives) {
    const auto name = alternative.at("required").at(0).get<std::string>();
    if (place.value.contains(name)) return std::nullopt;
    names.push_back("\"" + name + "\"");
  }
  return Violation{place.path, fmt::format("has neither {}", JoinNames(names, " nor ")),
                   fmt::format("Add {}", JoinNames(names, " or "))};
}

// The entries of a list that is one of the alternatives of a field: no place of its own in
// FindSubschema.
std::optional<Violation> ExplainEntries(const Place& place) {
  const auto items = place.subschema.find("items");
  if (items == place.subschema.end() || !place.value.is_array()) return std::nullopt;
  for (size_t i = 0; i < place.value.size(); ++i) {
    JsonPath path = place.path;
    path.push_back(std::to_string(i));
    if (auto violation = ExplainEnum({place.schema, *items, path, place.value[i]})) {
      return violation;
    }
  }
  return std::nullopt;
}

// A field whose value may have one of several types, each with rules of its own.
std::optional<Violation> ExplainTypedAlternatives(const Place& place) {
  const auto alternatives = place.subschema.find("anyOf");
  if (alternatives == place.subschema.end()) return std::nullopt;
  std::vector<std::string> names;
  for (const Json& alternative : *alternatives) {
    const std::vector<std::string> types = AllowedTypes(alternative);
    if (types.empty()) return std::nullopt;
    names.emplace_back(SchemaTypeName(types.front()));
    if (!HasType(place.value, types.front())) continue;
    const Place chosen = {place.schema, alternative, place.path, place.value};
    for (const auto explain : {ExplainEnum, ExplainEmpty, ExplainEntries, ExplainRepeated}) {
      if (std::optional<Violation> violation = explain(chosen)) return violation;
    }
    return std::nullopt;
  }
  return Violation{place.path,
                   fmt::format("{} is {}, not {}", Quoted(place.value), JsonTypeName(place.value),
                               JoinNames(names, " or ")),
                   "Write " + JoinNames(names, " or ")};
}

// A field of that very name elsewhere was misplaced; one of nearly that name here was misspelt; one
// of nearly that name elsewhere was both.
std::string SuggestField(const Place& place, const std::string& name) {
  const std::vector<std::string> here = Keys(place.subschema.at("properties"));
  std::vector<KnownField> known;
  CollectFields(place.schema, "", "the top level", known);
  const auto containers_of = [&](const std::string& field) {
    std::vector<std::string> containers;
    for (const KnownField& other : known) {
      if (other.name == field) containers.push_back(other.container);
    }
    return JoinNames(containers, " or ");
  };
  if (const std::string containers = containers_of(name); !containers.empty()) {
    return fmt::format("It is misplaced: it belongs in {}", containers);
  }
  if (const auto near = NearestName(name, here))
    return fmt::format("Perhaps \"{}\" is meant", *near);
  std::vector<std::string> everywhere;
  for (const KnownField& field : known) everywhere.push_back(field.name);
  if (const auto near = NearestName(name, everywhere)) {
    return fmt::format("Perhaps \"{}\" is meant, which belongs in {}", *near, containers_of(*near));
  }
  return fmt::format("Remove it; the fields here are {}", JoinNames(here));
}

std::optional<Violation> ExplainUnknownField(const Place& place) {
  if (!place.value.is_object() || !place.subschema.contains("properties")) return std::nullopt;
  const Json& properties = place.subschema.at("properties");
  for (const auto& [name, value] : place.value.items()) {
    if (properties.contains(name)) continue;
    JsonPath field = place.path;
    field.push_back(name);
    return Violation{field, "there is no such field", SuggestField(place, name)};
  }
  return std::nullopt;
}

}  // namespace

std::string PointerText(const JsonPath& path) { return "/" + JoinNames(path, "/"); }

const Json* FindSubschema(const Json& schema, const JsonPath& path) {
  const Json* node = &schema;
  for (const std::string& step : path) {
    if (const auto items = node->find("items"); items != node->end()) {
      node = &*items;
      continue;
    }
    const auto properties = node->find("properties");
    if (properties == node->end() || !properties->contains(step)) return nullptr;
    node = &properties->at(step);
  }
  return node;
}

Violation ExplainViolation(const Json& schema, const JsonPath& path, const Json& value) {
  const Json* subschema = FindSubschema(schema, path);
  if (subschema != nullptr) {
    const Place place = {schema, *subschema, path, value};
    for (const auto explain :
         {ExplainType, ExplainConst, ExplainEnum, ExplainRange, ExplainEmpty, ExplainUnknownField,
          ExplainMissing, ExplainAlternatives, ExplainTypedAlternatives}) {
      if (std::optional<Violation> violation = explain(place)) return *violation;
    }
  }
  return {path, fmt::format("{} does not follow the recipe schema", Quoted(value)),
          "Compare it with recipes/recipe.schema.json"};
}

}  // namespace vernier::recipes
