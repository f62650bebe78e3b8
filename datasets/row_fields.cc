#include "datasets/row_fields.h"

#include <fmt/format.h>

#include "base/error.h"

namespace vernier::datasets {

void ThrowBadRow(std::string_view origin, std::string_view problem, std::string_view remedy) {
  throw Error(ErrorCode::kBadDataset, origin, problem, remedy);
}

void ThrowWrongType(std::string_view origin, std::string_view what, const Json& value,
                    std::string_view wanted) {
  ThrowBadRow(origin, fmt::format("{} is of type {}, not {}", what, value.type_name(), wanted),
              "Correct the line or remove it");
}

const std::string& RequireString(const Json& value, std::string_view what,
                                 std::string_view origin) {
  if (!value.is_string()) ThrowWrongType(origin, what, value, "string");
  return value.get_ref<const std::string&>();
}

const Json* FindField(const Json& object, std::string_view name) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

}  // namespace vernier::datasets
