#include "tools/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "base/text.h"
#include "recipes/schema_check.h"
#include "tools/options.h"

namespace vernier::tools {
namespace {

using recipes::Arity;
using recipes::Option;
using recipes::ValueKind;

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// An integer or a number as JSON; null when `text` is none.
Json NumberOf(ValueKind kind, std::string_view text) {
  if (const auto integer = ParseNumber<int64_t>(text)) return *integer;
  if (const auto large = ParseNumber<uint64_t>(text)) return *large;
  if (kind == ValueKind::kInteger) return nullptr;
  const auto number = ParseNumber<double>(text);
  return number ? Json(*number) : Json(nullptr);
}

bool IsNumeric(ValueKind kind) { return kind == ValueKind::kInteger || kind == ValueKind::kNumber; }

// `text` as a recipe would have it.
Json ValueOf(const Option& option, const std::string& text) {
  return IsNumeric(option.kind) ? NumberOf(option.kind, text) : Json(text);
}

std::string BoundProblem(const Option& option, const Json& number) {
  const auto value = number.get<double>();
  if (!option.minimum.is_null() && value < option.minimum.get<double>()) {
    return fmt::format("{} is out of range; write a number of at least {}", number.dump(),
                       option.minimum.dump());
  }
  if (!option.maximum.is_null() && value > option.maximum.get<double>()) {
    return fmt::format("{} is out of range; write a number of at most {}", number.dump(),
                       option.maximum.dump());
  }
  return {};
}

const Option& RowOf(std::string_view command, std::string_view name) {
  for (const Option* option : OptionsOf(command)) {
    if (option->name == name) return *option;
  }
  throw std::logic_error(fmt::format("{} does not take {}", command, name));
}

}  // namespace

std::string ProblemOf(const Option& option, const std::string& text) {
  const Json value = ValueOf(option, text);
  if (value.is_null()) {
    return fmt::format("\"{}\" is {}", text,
                       option.kind == ValueKind::kInteger ? "no integer" : "no number");
  }
  if (!option.pointer.empty()) {
    recipes::CheckFieldValue(option.pointer, value, option.name);
    return {};
  }
  if (IsNumeric(option.kind)) return BoundProblem(option, value);
  if (option.kind != ValueKind::kName) return {};
  if (std::ranges::find(option.names, text) != option.names.end()) return {};
  return fmt::format("\"{}\" is not one of {}", text, JoinNames(option.names));
}

bool Arguments::Has(std::string_view name) const {
  static_cast<void>(RowOf(command_, name));
  const auto found = given_.find(name);
  return found != given_.end() && !found->second.empty();
}

std::vector<std::string> Arguments::ValuesOf(std::string_view name) const {
  if (Has(name)) return given_.find(name)->second;
  const std::string& standard = RowOf(command_, name).standard;
  return standard.empty() ? std::vector<std::string>() : std::vector<std::string>{standard};
}

void Arguments::Read(std::string_view name, std::vector<std::string>& values) const {
  if (const std::vector<std::string> given = ValuesOf(name); !given.empty()) values = given;
}

void Arguments::Read(std::string_view name, std::vector<std::filesystem::path>& values) const {
  const std::vector<std::string> given = ValuesOf(name);
  if (!given.empty()) values.assign(given.begin(), given.end());
}

void Arguments::Read(std::string_view name, std::string& value) const {
  if (const std::vector<std::string> given = ValuesOf(name); !given.empty()) value = given.back();
}

void Arguments::Read(std::string_view name, std::filesystem::path& value) const {
  std::string text = value.string();
  Read(name, text);
  value = text;
}

void Arguments::Read(std::string_view name, int64_t& value) const {
  std::string text;
  Read(name, text);
  if (!text.empty()) value = ParseNumber<int64_t>(text).value();
}

void Arguments::Read(std::string_view name, int& value) const {
  int64_t number = value;
  Read(name, number);
  value = static_cast<int>(number);
}

void Arguments::Read(std::string_view name, double& value) const {
  std::string text;
  Read(name, text);
  if (!text.empty()) value = ParseNumber<double>(text).value();
}

recipes::Overrides Arguments::RecipeOverrides() const {
  recipes::Overrides overrides;
  for (const Option* option : OptionsOf(command_)) {
    if (!option->ReplacesField()) continue;
    const std::vector<std::string> values = ValuesOf(option->name);
    if (values.empty()) continue;
    const Json value =
        option->arity == Arity::kMany ? Json(values) : ValueOf(*option, values.back());
    overrides.push_back({option->pointer, value, option->name});
  }
  return overrides;
}

}  // namespace vernier::tools
