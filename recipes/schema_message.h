// Words for violations of a JSON Schema: what is wrong, and what was probably meant.
#ifndef VERNIER_RECIPES_SCHEMA_MESSAGE_H_
#define VERNIER_RECIPES_SCHEMA_MESSAGE_H_

#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::recipes {

// Keys and array indices from the document's root: {"quantize", "0", "role"}.
using JsonPath = std::vector<std::string>;

// "/quantize/0/role"; the root is "/".
std::string PointerText(const JsonPath& path);

// The subschema of the place `path` in a document (properties and items only); null if there is
// none.
const Json* FindSubschema(const Json& schema, const JsonPath& path);

struct Violation {
  JsonPath path;  // where: the field itself, also when it is an unknown one
  std::string problem;
  std::string remedy;
};

// What `value`, found at `path`, breaks of the subschema for that place itself (not of its
// children's). Understands the keywords that recipe.schema.json uses: type, const, enum, minimum,
// maximum, exclusiveMinimum, minLength, minItems, required, additionalProperties, anyOf of
// required, anyOf of types (with enum, minItems, uniqueItems, items of enum). `schema` is the whole
// schema. The caller knows that there is a violation.
Violation ExplainViolation(const Json& schema, const JsonPath& path, const Json& value);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_SCHEMA_MESSAGE_H_
