// Tables in aligned columns for people to read.
#ifndef VERNIER_TOOLS_TEXT_TABLE_H_
#define VERNIER_TOOLS_TEXT_TABLE_H_

#include <string>
#include <vector>

namespace vernier::tools {

struct TextColumn {
  std::string title;
  bool right_aligned = false;  // for numbers
};

// One line for the titles and one per row; every row has as many cells as there are columns.
// Columns are two spaces apart, each line is indented by two and ends with a newline.
std::string FormatTable(const std::vector<TextColumn>& columns,
                        const std::vector<std::vector<std::string>>& rows);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_TEXT_TABLE_H_
