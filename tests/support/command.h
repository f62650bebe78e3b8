// Runs the built `vernier` as a user would.
#ifndef VERNIER_TESTS_SUPPORT_COMMAND_H_
#define VERNIER_TESTS_SUPPORT_COMMAND_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace vernier::testing {

struct CommandResult {
  int exit_code = 0;        // 128 + signal when killed
  std::string output;       // standard output
  std::string errors;       // standard error
  uint64_t peak_bytes = 0;  // resident
};

struct CommandOptions {
  std::string input = {};  // standard input
  // Called with every line of standard error as it comes; true kills the command with SIGKILL.
  std::function<bool(const std::string& line)> kill_when = {};
  // Largest file that the command may write, 0: no limit.
  uint64_t file_size_limit = 0;
};

CommandResult RunVernier(const std::vector<std::string>& arguments, CommandOptions options = {});

// File name -> content hash of every regular file below `directory`.
std::map<std::string, std::string> HashTree(const std::filesystem::path& directory);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_COMMAND_H_
