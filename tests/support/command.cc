#include "tests/support/command.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/file.h"
#include "base/hash.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

[[noreturn]] void RunChild(const std::vector<std::string>& arguments, const std::string& input,
                           const std::string& output, int errors, uint64_t file_size_limit) {
  dup2(open(input.c_str(), O_RDONLY), STDIN_FILENO);
  dup2(open(output.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  if (file_size_limit > 0) {
    const rlimit limit = {file_size_limit, file_size_limit};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  std::vector<char*> argv = {const_cast<char*>(VERNIER_COMMAND)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(VERNIER_COMMAND, argv.data());
  _exit(127);
}

// Reads the pipe to its end; kills `child` when the options say so.
std::string ReadErrors(int pipe, pid_t child, const CommandOptions& options) {
  std::string text, line;
  char buffer[4096];
  for (ssize_t got; (got = read(pipe, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] != '\n') {
        line += buffer[i];
        continue;
      }
      if (options.kill_when && options.kill_when(line)) kill(child, SIGKILL);
      line.clear();
    }
  }
  return text;
}

}  // namespace

CommandResult RunVernier(const std::vector<std::string>& arguments, CommandOptions options) {
  const TempDir dir;
  const std::string input = (dir.path() / "in").string();
  const std::string output = (dir.path() / "out").string();
  std::ofstream(input, std::ios::binary) << options.input;
  int errors[2];
  if (pipe(errors) != 0) std::abort();

  const pid_t child = fork();
  if (child == 0) {
    close(errors[0]);
    RunChild(arguments, input, output, errors[1], options.file_size_limit);
  }
  close(errors[1]);
  CommandResult result;
  result.errors = ReadErrors(errors[0], child, options);
  close(errors[0]);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  if (std::filesystem::exists(output)) result.output = ReadWholeFile(output);
  return result;
}

std::map<std::string, std::string> HashTree(const std::filesystem::path& directory) {
  std::map<std::string, std::string> hashes;
  if (!std::filesystem::exists(directory)) return hashes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    hashes[std::filesystem::relative(entry.path(), directory).string()] =
        HashHex(ReadWholeFile(entry.path()));
  }
  return hashes;
}

}  // namespace vernier::testing
