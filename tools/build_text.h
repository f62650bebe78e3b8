// What --version prints.
#ifndef VERNIER_TOOLS_BUILD_TEXT_H_
#define VERNIER_TOOLS_BUILD_TEXT_H_

#include <string>

namespace vernier::tools {

// "vernier 0.1.0", and lines of a label and its text.
std::string BuildText();

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_BUILD_TEXT_H_
