#include "recipes/recipe_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/text.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

constexpr size_t kMaxDeviceDigits = 3;

bool IsDevice(std::string_view text) {
  if (text == "cpu" || text == "cuda") return true;
  constexpr std::string_view kPrefix = "cuda:";
  if (!text.starts_with(kPrefix)) return false;
  const std::string_view index = text.substr(kPrefix.size());
  return !index.empty() && index.size() <= kMaxDeviceDigits &&
         std::ranges::all_of(index, [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<ValueName<Format>> WrittenFormats() {
  std::vector<ValueName<Format>> names = {{"keep", kKeep}};
  for (const checkpoint::Codec* codec : checkpoint::Codecs()) {
    if (codec->written()) names.push_back({codec->target, *codec});
  }
  return names;
}

std::vector<ValueName<Dialect>> ChosenDialects() {
  std::vector<ValueName<Dialect>> names;
  for (const Dialect dialect : dialects::Dialects()) {
    if (dialect->chosen) names.push_back({dialect->name, dialect});
  }
  return names;
}

}  // namespace

const std::vector<ValueName<Format>>& FormatNames() {
  static const std::vector<ValueName<Format>> kNames = WrittenFormats();
  return kNames;
}

const std::vector<ValueName<Dialect>>& DialectNames() {
  static const std::vector<ValueName<Dialect>> kNames = ChosenDialects();
  return kNames;
}

uint64_t ParseSize(std::string_view text, const ValueSource& source) {
  if (const std::optional<uint64_t> bytes = ParseByteSize(text)) return *bytes;
  throw Error(
      source.code, source.subject, fmt::format("\"{}\" is no size", text),
      "Write bytes or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB, such as \"8GiB\"");
}

MemoryBound ParseMemory(std::string_view text, const ValueSource& source) {
  if (const std::optional<MemoryBound> bound = ParseMemoryBound(text)) return *bound;
  throw Error(source.code, source.subject, fmt::format("\"{}\" is no size", text),
              std::string(kMemoryBoundHint));
}

SizeBudget ParseSizeBudget(std::string_view text, const ValueSource& source) {
  constexpr double kMostBits = 32;
  double bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (bits > 0 && bits <= kMostBits) return {.bits = bits};
  } else if (const auto bytes = ParseByteSize(text); bytes && *bytes > 0) {
    return {.bytes = *bytes};
  }
  throw Error(source.code, source.subject,
              fmt::format("\"{}\" is neither bits a weight nor a size", text),
              "Write a number of bits up to 32 such as 5.0, or a size with its unit such as "
              "\"24GiB\"");
}

std::string ParseDevice(std::string_view text, const ValueSource& source) {
  if (IsDevice(text)) return std::string(text);
  throw Error(source.code, source.subject, fmt::format("\"{}\" is no device", text),
              "Write \"cpu\", \"cuda\" or \"cuda:N\"");
}

ScaleMethod ParseScaleMethod(Format format, ScaleMethod method, const ValueSource& source) {
  const std::span<const ScaleMethod> methods = ScaleMethodsOf(format);
  if (HasScaleMethod(format, method)) return method;
  if (methods.empty()) {
    throw Error(source.code, source.subject,
                fmt::format("the format {} has no scale to choose", TargetFormatName(format)),
                "Remove the field");
  }
  std::vector<std::string> names;
  for (const ScaleMethod each : methods) names.emplace_back(ScaleMethodName(each));
  throw Error(source.code, source.subject,
              fmt::format("the format {} has no scale method {}", TargetFormatName(format),
                          ScaleMethodName(method)),
              "Choose one of " + JoinNames(names));
}

float ParseInputScale(double value, const ValueSource& source) {
  constexpr double kSmallest = 1e-20, kLargest = 1e20;
  if (value >= kSmallest && value <= kLargest) return static_cast<float>(value);
  throw Error(source.code, source.subject, fmt::format("{} is no usable input scale", value),
              "Write a number of a usual size, such as 1.0");
}

}  // namespace vernier::recipes
