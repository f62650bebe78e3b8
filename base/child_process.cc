#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"

extern char** environ;

namespace vernier {
namespace {

constexpr int kSignalStatus = 128;
constexpr size_t kReadBytes = size_t{1} << 16;

[[noreturn]] void ThrowNoRoom(std::string_view program, int error) {
  throw Error(ErrorCode::kFileOpen, program,
              "cannot be started: " + std::generic_category().message(error),
              "Close other programs, or raise their limits");
}

// What the program is started with.
class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // In a group of its own: a Ctrl-C is ours to handle.
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  void Redirect(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
  // 0, or an errno.
  int Spawn(const std::vector<std::string>& arguments, pid_t* pid) const {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    return posix_spawnp(pid, argv[0], &actions_, &attributes_, argv.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

std::optional<ChildProcess> ChildProcess::Start(const Command& command) {
  const std::string& program = command.arguments.at(0);
  ErrorFile errors(std::tmpfile(), &std::fclose);
  std::array<int, 2> ends = {};
  // A pair of sockets and not two pipes, because writing to one that is closed raises no signal.
  if (errors == nullptr || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    ThrowNoRoom(program, errno);
  }
  SpawnSettings settings;
  settings.Redirect(ends[1], STDIN_FILENO);
  settings.Redirect(ends[1], STDOUT_FILENO);
  settings.Redirect(fileno(errors.get()), STDERR_FILENO);
  pid_t pid = -1;
  const int failure = settings.Spawn(command.arguments, &pid);
  close(ends[1]);
  if (failure != 0) {
    close(ends[0]);
    if (failure == ENOENT || failure == EACCES || failure == ENOEXEC) return std::nullopt;
    ThrowNoRoom(program, failure);
  }
  return ChildProcess(pid, ends[0], command.patience, std::move(errors));
}

ChildProcess::ChildProcess(pid_t pid, int socket, std::chrono::seconds patience, ErrorFile errors)
    : pid_(pid), socket_(socket), patience_(patience), errors_(std::move(errors)) {
  const timeval limit = {.tv_sec = patience.count(), .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      socket_(std::exchange(other.socket_, -1)),
      patience_(other.patience_),
      unread_(std::move(other.unread_)),
      errors_(std::move(other.errors_)) {}

ChildProcess::~ChildProcess() {
  Close();
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool ChildProcess::WriteLine(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

std::optional<std::string> ChildProcess::ReadLine() {
  size_t searched = 0;
  for (;;) {
    const size_t end = unread_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    searched = unread_.size();
    unread_.resize(searched + kReadBytes);
    const ssize_t count = Receive(std::span(unread_).subspan(searched));
    unread_.resize(searched + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count <= 0) return std::nullopt;
  }
}

// Bytes that came: 0 at the end, -1 when patience ended or we are interrupted. Signals may be
// delivered to another thread, so that waiting is cut into short pieces.
ssize_t ChildProcess::Receive(std::span<char> bytes) {
  constexpr int kPieceMilliseconds = 200;
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  pollfd waiting = {.fd = socket_, .events = POLLIN, .revents = 0};
  while (!InterruptRequested() && std::chrono::steady_clock::now() < deadline) {
    if (poll(&waiting, 1, kPieceMilliseconds) <= 0) continue;
    const ssize_t count = recv(socket_, bytes.data(), bytes.size(), 0);
    if (count >= 0 || errno != EINTR) return count;
  }
  return -1;
}

int ChildProcess::Wait() {
  shutdown(socket_, SHUT_WR);
  std::string ignored(kReadBytes, '\0');
  ssize_t count = 1;
  while (count > 0) count = Receive(ignored);
  Close();
  if (count < 0) kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalStatus + WTERMSIG(status);
}

std::string ChildProcess::LastComplaint() const {
  constexpr long kTail = 4096;
  std::FILE* file = errors_.get();
  std::fseek(file, 0, SEEK_END);
  const long size = std::ftell(file);
  std::fseek(file, std::max(0L, size - kTail), SEEK_SET);
  std::string text(static_cast<size_t>(std::min(size, kTail)), '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  const size_t last = text.find_last_not_of(" \r\n");
  if (last == std::string::npos) return {};
  const size_t before = text.find_last_of('\n', last);
  return text.substr(before == std::string::npos ? 0 : before + 1,
                     last - (before == std::string::npos ? 0 : before + 1) + 1);
}

void ChildProcess::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

}  // namespace vernier
