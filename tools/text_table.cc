#include "tools/text_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace vernier::tools {
namespace {

void AppendLine(const std::vector<TextColumn>& columns, const std::vector<size_t>& widths,
                const std::vector<std::string>& cells, std::string* text) {
  std::string line;
  for (size_t i = 0; i < columns.size(); ++i) {
    line += columns[i].right_aligned ? fmt::format("  {:>{}}", cells[i], widths[i])
                                     : fmt::format("  {:<{}}", cells[i], widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  *text += line + '\n';
}

}  // namespace

std::string FormatTable(const std::vector<TextColumn>& columns,
                        const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    titles.push_back(columns[i].title);
    widths.push_back(columns[i].title.size());
    for (const auto& row : rows) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  AppendLine(columns, widths, titles, &text);
  for (const auto& row : rows) AppendLine(columns, widths, row, &text);
  return text;
}

}  // namespace vernier::tools
