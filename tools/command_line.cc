#include "tools/command_line.h"

#include <filesystem>

namespace vernier::tools {
namespace {

constexpr std::string_view kPlainLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";

}  // namespace

std::string ShellQuote(std::string_view word) {
  if (!word.empty() && word.find_first_not_of(kPlainLetters) == std::string_view::npos) {
    return std::string(word);
  }
  std::string quoted = "'";
  for (const char letter : word) {
    if (letter == '\'') {
      quoted += "'\\''";
    } else {
      quoted += letter;
    }
  }
  return quoted + "'";
}

std::string RepeatableCommand(const char* const* argv) {
  std::string line = "cd " + ShellQuote(std::filesystem::current_path().string()) + " &&";
  for (; *argv != nullptr; ++argv) line += " " + ShellQuote(*argv);
  return line;
}

}  // namespace vernier::tools
