#include "jobs/spec_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace vernier::jobs {
namespace {

// Whole numbers, however a program has written them.
template <typename T>
bool ToInteger(const Json& value, T& out) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<T>::max())) return false;
    out = static_cast<T>(number);
    return true;
  }
  if (!value.is_number_integer() || std::is_unsigned_v<T>) return false;
  const auto number = value.get<int64_t>();
  if (number < static_cast<int64_t>(std::numeric_limits<T>::min())) return false;
  out = static_cast<T>(number);
  return true;
}

bool AreStrings(const Json& value) {
  return value.is_array() &&
         std::ranges::all_of(value, [](const Json& entry) { return entry.is_string(); });
}

}  // namespace

SpecReader::SpecReader(const Json& spec, std::string_view job) : spec_(spec), job_(job) {
  if (spec.is_object()) return;
  throw Error(ErrorCode::kBadArgument, fmt::format("specification of {}", job),
              "is not a JSON object", "Give the fields as {\"name\": value}");
}

bool SpecReader::Has(std::string_view field) const {
  const auto it = spec_.find(field);
  return it != spec_.end() && !it->is_null();
}

void SpecReader::Know(std::string_view field) { known_.emplace(field); }

const Json* SpecReader::Find(std::string_view field) {
  Know(field);
  return Has(field) ? &spec_.at(std::string(field)) : nullptr;
}

const Json* SpecReader::FindRecipe(std::string_view field) {
  const Json* given = Find(field);
  if (given == nullptr || given->is_string() || given->is_object()) return given;
  ThrowKind(field, *given, "a recipe, or the path or the name of one");
}

void SpecReader::Read(std::string_view field, std::string& value) {
  const Json* given = Find(field);
  if (given == nullptr) return;
  if (!given->is_string()) ThrowKind(field, *given, "a string");
  value = given->get<std::string>();
}

void SpecReader::Read(std::string_view field, std::filesystem::path& value) {
  std::string text = value.string();
  Read(field, text);
  value = text;
}

void SpecReader::Read(std::string_view field, bool& value) {
  const Json* given = Find(field);
  if (given == nullptr) return;
  if (!given->is_boolean()) ThrowKind(field, *given, "true or false");
  value = given->get<bool>();
}

void SpecReader::Read(std::string_view field, int& value) {
  const Json* given = Find(field);
  if (given != nullptr && !ToInteger(*given, value)) ThrowKind(field, *given, "a whole number");
}

void SpecReader::Read(std::string_view field, int64_t& value) {
  const Json* given = Find(field);
  if (given != nullptr && !ToInteger(*given, value)) ThrowKind(field, *given, "a whole number");
}

void SpecReader::Read(std::string_view field, uint64_t& value) {
  const Json* given = Find(field);
  if (given == nullptr || ToInteger(*given, value)) return;
  ThrowKind(field, *given, "a whole number from 0");
}

void SpecReader::Read(std::string_view field, double& value) {
  const Json* given = Find(field);
  if (given == nullptr) return;
  if (!given->is_number()) ThrowKind(field, *given, "a number");
  value = given->get<double>();
}

void SpecReader::Read(std::string_view field, std::vector<std::string>& value) {
  const Json* given = Find(field);
  if (given == nullptr) return;
  if (!AreStrings(*given)) ThrowKind(field, *given, "a list of strings");
  value = given->get<std::vector<std::string>>();
}

void SpecReader::Read(std::string_view field, std::vector<std::filesystem::path>& value) {
  std::vector<std::string> texts;
  Read(field, texts);
  if (Has(field)) value.assign(texts.begin(), texts.end());
}

void SpecReader::ReadAmong(std::string_view field, const std::vector<std::string>& allowed,
                           std::string& value) {
  std::string name;
  Read(field, name);
  if (!Has(field)) return;
  if (std::ranges::find(allowed, name) == allowed.end()) ThrowNotAmong(field, name, allowed);
  value = name;
}

void SpecReader::ReadAmong(std::string_view field, const std::vector<std::string>& allowed,
                           std::vector<std::string>& value) {
  Read(field, value);
  for (const std::string& name : value) {
    if (std::ranges::find(allowed, name) == allowed.end()) ThrowNotAmong(field, name, allowed);
  }
}

void SpecReader::Finish() const {
  for (const auto& [field, value] : spec_.items()) {
    if (known_.contains(field)) continue;
    throw Error(
        ErrorCode::kBadArgument, fmt::format("specification of {}", job_),
        fmt::format("has the unknown field \"{}\"", field),
        "Its fields are " + JoinNames(std::vector<std::string>(known_.begin(), known_.end())));
  }
}

void SpecReader::ThrowKind(std::string_view field, const Json& value, std::string_view kind) const {
  throw Error(ErrorCode::kBadArgument, fmt::format("\"{}\" of {}", field, job_),
              fmt::format("is {} and not {}", value.dump(), kind), "Give it the documented kind");
}

void SpecReader::ThrowMissing(std::string_view field) const {
  throw Error(ErrorCode::kBadArgument, fmt::format("specification of {}", job_),
              fmt::format("lacks the field \"{}\"", field), "Add the field");
}

void SpecReader::ThrowNotAmong(std::string_view field, std::string_view name,
                               const std::vector<std::string>& allowed) const {
  throw Error(ErrorCode::kBadArgument, fmt::format("\"{}\" of {}", field, job_),
              fmt::format("is \"{}\"", name), "Give one of " + JoinNames(allowed));
}

}  // namespace vernier::jobs
