#include "tests/report/rendered_page.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/text.h"

namespace vernier::testing {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

constexpr std::string_view kNothing = "\u2013";

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string_view Attribute(std::string_view tag, std::string_view name) {
  const std::string opening = fmt::format(" {}=\"", name);
  const size_t begin = tag.find(opening);
  if (begin == std::string_view::npos) return {};
  tag.remove_prefix(begin + opening.size());
  return tag.substr(0, tag.find('"'));
}

// Whether `text` is `value` rounded to four significant digits, `unit` behind it.
bool IsRounded(std::string_view text, double value, std::string_view unit) {
  if (!text.ends_with(unit)) return false;
  const std::string number(text.substr(0, text.size() - unit.size()));
  char* end = nullptr;
  const double read = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0') return false;
  if (value == 0) return number == "0";
  const double last_digit = std::pow(10, std::floor(std::log10(std::abs(value))) - 3);
  return std::abs(read - value) <= last_digit * 0.500001;
}

std::string PlainNumber(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string Count(const Json& value) { return HumanCount(value.get<uint64_t>()); }

bool IsWritten(const ShownValue& shown, const Json& value) {
  if (value.is_null() || value == "") return shown.text == kNothing;
  if (shown.format == "text") return shown.text == PlainNumber(value);
  if (shown.format == "count") return shown.text == Count(value);
  if (shown.format == "bytes") return shown.text == HumanBytes(value.get<uint64_t>());
  if (shown.format == "duration") return shown.text == HumanDuration(value.get<double>());
  if (shown.format == "decibel") return shown.text == fmt::format("{:.2f}", value.get<double>());
  if (shown.format == "number") return IsRounded(shown.text, value.get<double>(), "");
  if (shown.format == "share") return IsRounded(shown.text, 100 * value.get<double>(), "%");
  // Order of keys and the notation of numbers do not count.
  if (shown.format == "json") {
    return nlohmann::json::parse(shown.text) == nlohmann::json::parse(value.dump());
  }
  return false;
}

}  // namespace

std::string PlainText(std::string_view html) {
  std::string text(html);
  constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&nbsp;", "\u00a0"}, {"&amp;", "&"}};
  for (const auto& [entity, character] : kEntities) text = ReplaceAll(text, entity, character);
  return text;
}

std::vector<ShownValue> ShownValues(std::string_view html) {
  std::vector<ShownValue> values;
  constexpr std::string_view kMark = " data-path=\"";
  for (size_t at = html.find(kMark); at != std::string_view::npos; at = html.find(kMark, at + 1)) {
    const size_t end = html.find('>', at);
    const std::string_view tag = html.substr(at, end - at);
    const size_t text_end = html.find('<', end);
    values.push_back({.path = std::string(Attribute(tag, "data-path")),
                      .format = std::string(Attribute(tag, "data-format")),
                      .text = PlainText(html.substr(end + 1, text_end - end - 1))});
  }
  return values;
}

Json ValueAt(const Json& report, std::string_view path) {
  const Json* value = &report;
  while (true) {
    const size_t dot = path.find('.');
    const std::string key =
        ReplaceAll(ReplaceAll(std::string(path.substr(0, dot)), "%2E", "."), "%25", "%");
    if (value->is_array()) {
      const auto index = static_cast<size_t>(std::strtoull(key.c_str(), nullptr, 10));
      if (index >= value->size()) return nullptr;
      value = &(*value)[index];
    } else {
      if (!value->is_object() || !value->contains(key)) return nullptr;
      value = &value->at(key);
    }
    if (dot == std::string_view::npos) return *value;
    path.remove_prefix(dot + 1);
  }
}

AssertionResult ShowsItsValue(const ShownValue& shown, const Json& report) {
  const Json value = ValueAt(report, shown.path);
  if (IsWritten(shown, value)) return AssertionSuccess();
  return AssertionFailure() << shown.path << " shows \"" << shown.text << "\" (" << shown.format
                            << ") and is " << value.dump();
}

}  // namespace vernier::testing
