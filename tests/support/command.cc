#include "tests/support/command.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void RunChild(const std::vector<std::string>& arguments, const std::string& input,
                           const std::string& output, int errors, const CommandOptions& options) {
  dup2(open(input.c_str(), O_RDONLY), STDIN_FILENO);
  dup2(open(output.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  if (options.file_size_limit > 0) {
    const rlimit limit = {options.file_size_limit, options.file_size_limit};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv = {const_cast<char*>(VERNIER_COMMAND)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(VERNIER_COMMAND, argv.data());
  _exit(127);
}

// A running command's standard error, and the signals that it gets.
class ErrorReader {
 public:
  ErrorReader(int pipe, pid_t child, const CommandOptions& options)
      : pipe_(pipe), child_(child), options_(options), start_(Clock::now()) {
    if (!options.kill_after_report) SetDeadline();
  }

  // Everything up to the pipe's end.
  std::string Read() {
    char buffer[4096];
    while (true) {
      if (!WaitForMore()) {
        kill(child_, options_.signal);
        deadline_.reset();
        continue;
      }
      const ssize_t got = read(pipe_, buffer, sizeof buffer);
      if (got <= 0) return text_;
      if (text_.empty()) NoteReport();
      Take({buffer, static_cast<size_t>(got)});
    }
  }

  std::chrono::duration<double> until_report() const { return until_report_; }

 private:
  void SetDeadline() {
    if (!options_.kill_after) return;
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(*options_.kill_after);
  }

  void NoteReport() {
    until_report_ = Clock::now() - start_;
    if (options_.kill_after_report) SetDeadline();
  }

  // False when the deadline comes first.
  bool WaitForMore() const {
    int timeout = -1;
    if (deadline_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now());
      timeout = static_cast<int>(std::max<int64_t>(0, left.count()));
    }
    pollfd descriptor = {.fd = pipe_, .events = POLLIN, .revents = 0};
    return poll(&descriptor, 1, timeout) != 0;
  }

  void Take(std::string_view bytes) {
    text_ += bytes;
    for (const char c : bytes) {
      if (c != '\n') {
        line_ += c;
        continue;
      }
      if (options_.kill_when && options_.kill_when(line_)) kill(child_, options_.signal);
      line_.clear();
    }
  }

  int pipe_;
  pid_t child_;
  const CommandOptions& options_;
  Clock::time_point start_;
  std::chrono::duration<double> until_report_{0};
  std::optional<Clock::time_point> deadline_;
  std::string text_, line_;
};

}  // namespace

CommandResult RunVernier(const std::vector<std::string>& arguments, CommandOptions options) {
  const TempDir dir;
  const std::string input = (dir.path() / "in").string();
  const std::string output = (dir.path() / "out").string();
  std::ofstream(input, std::ios::binary) << options.input;
  int errors[2];
  if (pipe(errors) != 0) std::abort();

  const Clock::time_point start = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    close(errors[0]);
    RunChild(arguments, input, output, errors[1], options);
  }
  close(errors[1]);
  CommandResult result;
  ErrorReader reader(errors[0], child, options);
  result.errors = reader.Read();
  result.until_report = reader.until_report();
  close(errors[0]);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  result.seconds = Clock::now() - start;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  if (std::filesystem::exists(output)) result.output = ReadWholeFile(output);
  return result;
}

void ExpectFailure(const CommandResult& result, const std::string& code,
                   const std::vector<std::string>& parts) {
  EXPECT_EQ(result.exit_code, 1) << result.output << result.errors;
  EXPECT_THAT(result.errors, ::testing::HasSubstr("vernier: " + code + ": "));
  for (const std::string& part : parts) EXPECT_THAT(result.errors, ::testing::HasSubstr(part));
}

void ExpectOneLine(const CommandResult& result, const std::string& code,
                   const std::vector<std::string>& parts) {
  ExpectFailure(result, code, parts);
  EXPECT_THAT(result.errors, ::testing::StartsWith("vernier: "));
  EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
  EXPECT_EQ(result.output, "");
}

std::function<bool(const std::string& line)> Past(const std::string& phase, double fraction) {
  return [=](const std::string& line) {
    const Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    return event.is_object() && event.value("phase", "") == phase &&
           event.value("fraction", 0.0) >= fraction;
  };
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
