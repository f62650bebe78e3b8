#include "checkpoint/families/config_reader.h"

#include <cmath>
#include <utility>

#include "base/error.h"

namespace vernier::checkpoint {

ConfigReader::ConfigReader(const Json& object, std::string path)
    : object_(&object), path_(std::move(path)) {
  if (!object.is_object()) {
    throw Error(ErrorCode::kBadConfig, "config.json",
                (path_.empty() ? "it" : "\"" + path_ + "\"") + " is no object",
                "Restore the model's own config.json");
  }
}

const Json* ConfigReader::Find(std::string_view key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

const Json& ConfigReader::Require(std::string_view key) const {
  const Json* field = Find(key);
  if (field == nullptr) Fail(key, "is missing");
  return *field;
}

int64_t ConfigReader::Integer(std::string_view key, int64_t min, int64_t max) const {
  const Json& field = Require(key);
  if (!field.is_number_integer()) Fail(key, "is " + field.dump() + ", not an integer");
  const bool huge = field.is_number_unsigned() && field.get<uint64_t>() > INT64_MAX;
  if (huge || field.get<int64_t>() < min || field.get<int64_t>() > max) {
    Fail(key, "is " + field.dump() + ", not between " + std::to_string(min) + " and " +
                  std::to_string(max));
  }
  return field.get<int64_t>();
}

int64_t ConfigReader::IntegerOr(std::string_view key, int64_t fallback, int64_t min,
                                int64_t max) const {
  return Find(key) == nullptr ? fallback : Integer(key, min, max);
}

double ConfigReader::Number(std::string_view key, bool allow_zero) const {
  const Json& field = Require(key);
  if (!field.is_number()) Fail(key, "is " + field.dump() + ", not a number");
  const double value = field.get<double>();
  if (!std::isfinite(value) || value < 0 || (value == 0 && !allow_zero)) {
    Fail(key, "is " + field.dump() + ", not a positive number");
  }
  return value;
}

double ConfigReader::NumberOr(std::string_view key, double fallback, bool allow_zero) const {
  return Find(key) == nullptr ? fallback : Number(key, allow_zero);
}

bool ConfigReader::Boolean(std::string_view key) const {
  const Json& field = Require(key);
  if (!field.is_boolean()) Fail(key, "is " + field.dump() + ", not true or false");
  return field.get<bool>();
}

bool ConfigReader::BooleanOr(std::string_view key, bool fallback) const {
  return Find(key) == nullptr ? fallback : Boolean(key);
}

void ConfigReader::RequireValue(std::string_view key, const Json& value) const {
  const Json* field = Find(key);
  if (field == nullptr || *field == value) return;
  Fail(key, "is " + field->dump() + "; this model family knows only " + value.dump());
}

void ConfigReader::Fail(std::string_view key, const std::string& problem) const {
  throw Error(ErrorCode::kBadConfig, "config.json",
              "field \"" + path_ + std::string(key) + "\" " + problem,
              "Restore the field from the model's own config.json");
}

}  // namespace vernier::checkpoint
