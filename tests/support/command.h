// Runs the built `vernier` as a user would.
#ifndef VERNIER_TESTS_SUPPORT_COMMAND_H_
#define VERNIER_TESTS_SUPPORT_COMMAND_H_

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vernier::testing {

struct CommandResult {
  int exit_code = 0;        // 128 + signal when killed
  std::string output;       // standard output
  std::string errors;       // standard error
  uint64_t peak_bytes = 0;  // resident
  std::chrono::duration<double> seconds{0};
  std::chrono::duration<double> until_report{0};  // until the first byte on standard error
};

struct CommandOptions {
  std::string input = {};  // standard input
  // Called with every line of standard error as it comes; true sends `signal` to the command.
  std::function<bool(const std::string& line)> kill_when = {};
  // Sends `signal` once, this long after the start, or after the first byte on standard error.
  std::optional<std::chrono::duration<double>> kill_after = {};
  bool kill_after_report = false;
  int signal = SIGKILL;
  // Set in the command's environment, beside everything that this process has in its own.
  std::map<std::string, std::string> environment = {};
  // Largest file that the command may write, 0: no limit.
  uint64_t file_size_limit = 0;
};

CommandResult RunVernier(const std::vector<std::string>& arguments, CommandOptions options = {});

// Expects that the command failed with "vernier: CODE: " and a message that has every part; its
// standard error may show progress too.
void ExpectFailure(const CommandResult& result, const std::string& code,
                   const std::vector<std::string>& parts = {});
// Expects also that this line is all that the command wrote.
void ExpectOneLine(const CommandResult& result, const std::string& code,
                   const std::vector<std::string>& parts = {});

// Exit code of a command that SIGKILL ended.
inline constexpr int kKilled = 128 + SIGKILL;

// Whether a line of --progress json reports `phase` at or past `fraction`.
std::function<bool(const std::string& line)> Past(const std::string& phase, double fraction);

// File name -> content hash of every regular file below `directory`.
std::map<std::string, std::string> HashTree(const std::filesystem::path& directory);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_COMMAND_H_
