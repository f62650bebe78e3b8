// The command line as text that a shell takes.
#ifndef VERNIER_TOOLS_COMMAND_LINE_H_
#define VERNIER_TOOLS_COMMAND_LINE_H_

#include <string>
#include <string_view>

namespace vernier::tools {

// `word` in single quotes, unless the shell takes it as it is.
std::string ShellQuote(std::string_view word);

// "cd FOLDER && ARGUMENTS...", by which a shell repeats this process's command. `argv` ends with a
// null pointer.
std::string RepeatableCommand(const char* const* argv);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_COMMAND_LINE_H_
