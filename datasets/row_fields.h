// Complaints about a row of data, and its fields.
#ifndef VERNIER_DATASETS_ROW_FIELDS_H_
#define VERNIER_DATASETS_ROW_FIELDS_H_

#include <string>
#include <string_view>

#include "base/json.h"

namespace vernier::datasets {

// All throw kBadDataset; `origin` is the row's place, "file:line".
[[noreturn]] void ThrowBadRow(std::string_view origin, std::string_view problem,
                              std::string_view remedy);
[[noreturn]] void ThrowWrongType(std::string_view origin, std::string_view what, const Json& value,
                                 std::string_view wanted);
const std::string& RequireString(const Json& value, std::string_view what, std::string_view origin);

// Null when the field is absent or null.
const Json* FindField(const Json& object, std::string_view name);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_ROW_FIELDS_H_
