#include "report/card_front_matter.h"

#include <algorithm>
#include <array>
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

// Without the fences; none where the second is missing.
std::vector<std::string_view> FrontMatterLines(std::string_view readme) {
  if (TakeLine(&readme) != kFence) return {};
  std::vector<std::string_view> lines;
  while (!readme.empty()) {
    lines.push_back(TakeLine(&readme));
    if (lines.back() == kFence) {
      lines.pop_back();
      return lines;
    }
  }
  return {};
}

// Lines that begin so belong to the field above them.
bool Continues(std::string_view line) { return line.starts_with(' ') || line.starts_with('-'); }

bool IsField(std::string_view line, std::string_view field) {
  return line.starts_with(field) && line.substr(field.size()).starts_with(':');
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string_view Unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

std::string CarriedFrontMatter(std::string_view readme) {
  std::string carried;
  bool taken = false;
  for (const std::string_view line : FrontMatterLines(readme)) {
    if (!Continues(line)) {
      taken = std::ranges::any_of(kCarried,
                                  [&](std::string_view field) { return IsField(line, field); });
    }
    if (taken) carried.append(line).append("\n");
  }
  return carried;
}

std::string FrontMatterValue(std::string_view readme, std::string_view field) {
  for (const std::string_view line : FrontMatterLines(readme)) {
    if (IsField(line, field)) {
      return std::string(Unquoted(Trimmed(line.substr(field.size() + 1))));
    }
  }
  return {};
}

}  // namespace vernier::report
