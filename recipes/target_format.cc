#include "recipes/target_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "recipes/recipe_values.h"

namespace vernier::recipes {
namespace {

// auto and max, which all have.
constexpr size_t kWithoutChoice = 2;

}  // namespace

std::string_view TargetFormatName(Format format) { return NameOf(FormatNames(), format); }

std::string_view ScaleMethodName(ScaleMethod method) { return NameOf(kScaleMethods, method); }

std::string TargetText(Format format, ScaleMethod method) {
  if (ScaleMethodsOf(format).size() <= kWithoutChoice) return std::string(TargetFormatName(format));
  return fmt::format("{} ({})", TargetFormatName(format), ScaleMethodName(method));
}

bool IsQuantised(const checkpoint::LogicalWeight& weight) { return IsQuantised(weight.format); }

std::span<const ScaleMethod> ScaleMethodsOf(Format format) {
  return format ? format->methods : std::span<const ScaleMethod>();
}

bool HasScaleMethod(Format format, ScaleMethod method) {
  const std::span<const ScaleMethod> methods = ScaleMethodsOf(format);
  return std::ranges::find(methods, method) != methods.end();
}

bool HasInputScale(Format format) { return format && format->has_input_scale(); }

int64_t BlockColumns(Format format) { return format ? format->parts.group : 1; }

Format FormatOf(const checkpoint::LogicalWeight& weight) {
  const bool known = IsQuantised(weight) && weight.format->written();
  return known ? weight.format : Format();
}

}  // namespace vernier::recipes
