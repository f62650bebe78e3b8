#include "report/card_front_matter.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace vernier::report {
namespace {

constexpr std::string_view kFence = "---";

constexpr std::array<std::string_view, 6> kCarried = {"license",  "license_name", "license_link",
                                                      "language", "pipeline_tag", "library_name"};

std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Without the fences; none where the second is missing.
std::vector<std::string_view> FrontMatterLines(std::string_view readme) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (readme.starts_with(kByteOrderMark)) readme.remove_prefix(kByteOrderMark.size());
  if (Trimmed(TakeLine(&readme)) != kFence) return {};
  std::vector<std::string_view> lines;
  while (!readme.empty()) {
    lines.push_back(TakeLine(&readme));
    if (Trimmed(lines.back()) == kFence) {
      lines.pop_back();
      return lines;
    }
  }
  return {};
}

// Whether a field begins here: all other lines belong to the one above them.
bool BeginsField(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  return std::ranges::all_of(line.substr(0, colon), [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '_' || letter == '-';
  });
}

// What a reader of YAML would go on reading behind.
bool IsClosed(std::string_view field) {
  const auto count = [&](char letter) { return std::ranges::count(field, letter); };
  return count('[') == count(']') && count('{') == count('}') && count('"') % 2 == 0 &&
         field.find(": |") == std::string_view::npos && field.find(": >") == std::string_view::npos;
}

bool IsField(std::string_view line, std::string_view field) {
  return line.starts_with(field) && line.substr(field.size()).starts_with(':');
}

std::string_view Unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

std::string CarriedFrontMatter(std::string_view readme) {
  std::vector<std::string> fields;
  for (const std::string_view line : FrontMatterLines(readme)) {
    if (BeginsField(line) || fields.empty()) fields.emplace_back();
    fields.back().append(line).append("\n");
  }
  std::string carried;
  for (const std::string& field : fields) {
    const bool wanted =
        std::ranges::any_of(kCarried, [&](std::string_view name) { return IsField(field, name); });
    if (wanted && IsClosed(field)) carried += field;
  }
  return carried;
}

std::string FrontMatterValue(std::string_view readme, std::string_view field) {
  for (const std::string_view line : FrontMatterLines(readme)) {
    if (IsField(line, field)) {
      const std::string_view value = line.substr(field.size() + 1);
      return std::string(Unquoted(Trimmed(value.substr(0, value.find(" #")))));
    }
  }
  return {};
}

}  // namespace vernier::report
