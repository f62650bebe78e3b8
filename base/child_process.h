// A program that runs beside ours and is talked to in lines.
#ifndef VERNIER_BASE_CHILD_PROCESS_H_
#define VERNIER_BASE_CHILD_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

// Its own reports decide what went wrong, so nothing here throws but Start. A Ctrl-C (interrupt.h)
// ends every waiting as if patience had ended.
class ChildProcess {
 public:
  struct Command {
    std::vector<std::string> arguments;  // the program first: a path, or a name that PATH finds
    std::chrono::seconds patience{600};  // how long a line is waited for
  };

  // Runs the program, without a shell. Nothing when there is no such program. Errors: kFileOpen
  // when the system has no room for another process.
  static std::optional<ChildProcess> Start(const Command& command);

  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  // Ends the program if it still runs.
  ~ChildProcess();

  // Sends the line and its '\n' to the program's standard input. False when it no longer reads.
  bool WriteLine(std::string_view line);
  // The next line of its standard output, without '\n'. Nothing at its end, or when patience ends.
  std::optional<std::string> ReadLine();

  // Closes its input, passes over the rest of its output and waits for its end (ended when patience
  // is): its exit status, or 128 + the signal that ended it.
  int Wait();
  // The last line of its standard error that is not empty; for messages.
  std::string LastComplaint() const;

 private:
  using ErrorFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  ChildProcess(pid_t pid, int socket, std::chrono::seconds patience, ErrorFile errors);

  ssize_t Receive(std::span<char> bytes);
  void Close();

  pid_t pid_ = -1;   // -1 when its end was seen
  int socket_ = -1;  // its standard input and output
  std::chrono::seconds patience_;
  std::string unread_;
  ErrorFile errors_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_CHILD_PROCESS_H_
