#include "tools/options.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "recipes/options.h"
#include "tools/option_rows.h"

namespace vernier::tools {
namespace {

using recipes::Arity;
using recipes::Option;
using recipes::ValueKind;

std::vector<Option> MakeOptions() {
  std::vector<Option> options = MakeCommandOptions();
  const std::vector<Option>& fields = recipes::RecipeOptions();
  options.insert(options.end(), fields.begin(), fields.end());
  return options;
}

std::string_view KindText(ValueKind kind) {
  switch (kind) {
    case ValueKind::kInteger:
      return "N";
    case ValueKind::kNumber:
      return "X";
    case ValueKind::kSize:
    case ValueKind::kMemory:
      return "SIZE";
    case ValueKind::kDevice:
      return "DEVICE";
    case ValueKind::kFile:
      return "FILE";
    case ValueKind::kDirectory:
      return "DIR";
    case ValueKind::kPath:
      return "PATH";
    default:
      return "TEXT";
  }
}

// 1073741824 as "1GiB".
std::string SizeText(uint64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits = {"", "KiB", "MiB", "GiB"};
  constexpr uint64_t kStep = 1024;
  size_t unit = 0;
  for (; bytes > 0 && bytes % kStep == 0 && unit + 1 < kUnits.size(); ++unit) bytes /= kStep;
  return std::to_string(bytes) + std::string(kUnits[unit]);
}

std::string FieldDefaultText(const Option& field) {
  const Json value = recipes::FieldDefault(field);
  if (value.is_null()) return {};
  if (field.kind == ValueKind::kSize) return SizeText(value.get<uint64_t>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

bool Takes(std::string_view command, std::string_view name) {
  return std::ranges::any_of(OptionsOf(command),
                             [&](const Option* option) { return option->name == name; });
}

}  // namespace

const std::vector<Option>& Options() {
  static const std::vector<Option> options = MakeOptions();
  return options;
}

std::vector<const Option*> OptionsOf(std::string_view command) {
  std::vector<const Option*> taken;
  for (const Option& option : Options()) {
    if (option.TakenBy(command)) taken.push_back(&option);
  }
  return taken;
}

std::string DefaultText(const Option& option, std::string_view command) {
  if (!option.standard.empty()) return option.standard;
  if (option.pointer.empty() || option.required) return {};
  const bool without_recipe = recipes::HasWord(option.excludes, "--recipe");
  const bool reads_recipe = Takes(command, "RECIPE") || Takes(command, "--recipe");
  if (reads_recipe && !without_recipe) return {};
  return FieldDefaultText(recipes::FieldAt(option.pointer));
}

std::string ValueText(const Option& option) {
  if (option.kind == ValueKind::kFlag) return {};
  std::string text = option.metavar;
  if (text.empty()) {
    text = option.kind == ValueKind::kName ? JoinNames(option.names, "|")
                                           : std::string(KindText(option.kind));
  }
  if (option.arity == Arity::kCommas) return text + ",...";
  return option.arity == Arity::kMany ? text + " ..." : text;
}

std::string GroupOf(const Option& option, std::string_view command) {
  if (!option.group.empty() || option.pointer.empty() || option.IsPositional()) {
    return option.group;
  }
  return Takes(command, "RECIPE") ? "Instead of the recipe's fields" : "";
}

std::string PositionalText(std::string_view command) {
  std::vector<std::string> names;
  for (const Option* option : OptionsOf(command)) {
    if (option->IsPositional()) names.push_back(option->name);
  }
  return JoinNames(names, " ");
}

std::string Sentences(const Option& option) {
  const std::string first = option.help + ".";
  return option.details.empty() ? first : first + " " + option.details;
}

}  // namespace vernier::tools
