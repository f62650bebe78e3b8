// Checks recipes, and single values for their fields, against the recipe's JSON Schema.
#ifndef VERNIER_RECIPES_SCHEMA_CHECK_H_
#define VERNIER_RECIPES_SCHEMA_CHECK_H_

#include <string_view>

#include "base/json.h"

namespace vernier::recipes {

// Throws kBadRecipe at the first field that the schema does not allow; `origin` names the recipe.
void CheckDocument(const Json& document, std::string_view origin);

// Throws kBadRecipe when an object of `text` names a key twice, or when values nest deeper than any
// recipe's: both would otherwise be accepted in silence. `text` is known to be valid JSON.
void CheckStructure(std::string_view text, std::string_view origin);

// Throws kBadArgument, naming `given_as`, unless `value` may stand at the field `pointer`
// ("/calibration/samples"; "/calibration/data/*/path" of any entry).
void CheckFieldValue(std::string_view pointer, const Json& value, std::string_view given_as);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_SCHEMA_CHECK_H_
