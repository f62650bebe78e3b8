#include "recipes/recipe_schema.h"

#include <string_view>

#include "recipes/options.h"

namespace vernier::recipes {
namespace {

constexpr std::string_view kEntry = "*";

// The parent of "/quantize/*/role" is "/quantize/*".
std::string_view ParentOf(std::string_view pointer) {
  return pointer.substr(0, pointer.rfind('/'));
}

std::string_view KeyOf(std::string_view pointer) { return pointer.substr(pointer.rfind('/') + 1); }

bool IsField(const Option& option) {
  return !option.pointer.empty() && &FieldAt(option.pointer) == &option;
}

// An object at `pointer` with no fields yet.
Json ObjectSchema(std::string_view pointer) {
  Json schema = {{"type", "object"}, {"additionalProperties", false}};
  Json required = Json::array();
  for (const Option& option : RecipeOptions()) {
    if (!IsField(option) || !option.field.required) continue;
    if (ParentOf(option.pointer) == pointer) required.push_back(KeyOf(option.pointer));
  }
  if (!required.empty()) schema["required"] = std::move(required);
  schema["properties"] = Json::object();
  return schema;
}

// What JSON calls a value of this kind; empty: the row's own keywords say.
Json TypeOf(ValueKind kind) {
  switch (kind) {
    case ValueKind::kFlag:
      return "boolean";
    case ValueKind::kInteger:
      return "integer";
    case ValueKind::kNumber:
      return "number";
    case ValueKind::kSize:
    case ValueKind::kMemory:
      return {"integer", "string"};
    case ValueKind::kName:
    case ValueKind::kOther:
      return nullptr;
    default:
      return "string";
  }
}

void AddBounds(const Option& option, Json& schema) {
  if (!option.minimum.is_null()) schema["minimum"] = option.minimum;
  if (!option.above.is_null()) schema["exclusiveMinimum"] = option.above;
  if (!option.maximum.is_null()) schema["maximum"] = option.maximum;
}

Json ValueSchema(const Option& option) {
  if (option.kind == ValueKind::kSection) return ObjectSchema(option.pointer);
  if (option.kind == ValueKind::kEntries) {
    return {{"type", "array"}, {"items", ObjectSchema(option.pointer + "/*")}};
  }
  Json schema = Json::object();
  if (const Json type = TypeOf(option.kind); !type.is_null()) schema["type"] = type;
  if (option.kind == ValueKind::kName) schema["enum"] = option.names;
  if (option.IsPath()) schema["minLength"] = 1;
  AddBounds(option, schema);
  if (const Json value = FieldDefault(option); !value.is_null()) schema["default"] = value;
  return schema;
}

std::string Description(const Option& option) {
  const std::string first = option.help + ".";
  return option.details.empty() ? first : first + " " + option.details;
}

Json FieldSchema(const Option& option) {
  Json schema = {{"description", Description(option)}};
  schema.update(ValueSchema(option));
  if (option.schema.is_object()) schema.update(option.schema, /*merge_objects=*/true);
  return schema;
}

// The object of a schema at `pointer`, of which "/quantize/*" is one.
Json& ObjectAt(Json& schema, std::string_view pointer) {
  if (pointer.empty()) return schema;
  Json& parent = ObjectAt(schema, ParentOf(pointer));
  const std::string_view key = KeyOf(pointer);
  return key == kEntry ? parent.at("items") : parent.at("properties").at(std::string(key));
}

Json MakeSchema() {
  Json schema = {
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "Vernier recipe"},
      {"description",
       "What to quantise, with which calibration data, on which machine, into what. Comments (// "
       "and /* */) are allowed in recipes. Relative paths are relative to the recipe's "
       "directory."}};
  schema.update(ObjectSchema(""));
  for (const Option& option : RecipeOptions()) {
    if (!IsField(option)) continue;
    Json& object = ObjectAt(schema, ParentOf(option.pointer));
    object["properties"][std::string(KeyOf(option.pointer))] = FieldSchema(option);
  }
  return schema;
}

}  // namespace

const Json& RecipeSchema() {
  static const Json schema = MakeSchema();
  return schema;
}

std::string RecipeSchemaText() { return RecipeSchema().dump(2) + "\n"; }

}  // namespace vernier::recipes
