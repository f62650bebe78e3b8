#include "run/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "base/error.h"

namespace vernier::run {
namespace {

constexpr size_t kMaxPidDigits = 20;

// LockHolder has the lock for an instant while it looks: that must not refuse anybody.
constexpr int kAttempts = 10;
constexpr auto kBetweenAttempts = std::chrono::milliseconds(20);

// The process id that the holder wrote, or 0.
int64_t ReadHolder(int fd) {
  char digits[kMaxPidDigits] = {};
  const ssize_t got = pread(fd, digits, sizeof(digits) - 1, 0);
  return got <= 0 ? 0 : std::strtoll(digits, nullptr, 10);
}

std::string DescribeHolder(int fd) {
  const int64_t pid = ReadHolder(fd);
  return pid == 0 ? "another process" : "process " + std::to_string(pid);
}

// 0, or the errno of the last attempt.
int TryLock(int fd) {
  for (int attempt = 1; flock(fd, LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (errno != EWOULDBLOCK || attempt == kAttempts) return errno;
    std::this_thread::sleep_for(kBetweenAttempts);
  }
  return 0;
}

// Only for that description: a failure harms nobody.
void WriteHolder(int fd) {
  const std::string pid = std::to_string(getpid());
  if (ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const ssize_t put = pwrite(fd, pid.data(), pid.size(), 0);
}

}  // namespace

LockFile::LockFile(const std::filesystem::path& path)
    : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (fd_ < 0) {
    throw Error(ErrorCode::kFileOpen, path.string(), std::strerror(errno),
                "Check the run directory and its permissions");
  }
  if (const int error = TryLock(fd_); error != 0) {
    const std::string holder = DescribeHolder(fd_);
    close(fd_);
    if (error != EWOULDBLOCK) {
      throw Error(ErrorCode::kStoreCorrupt, path.string(),
                  std::string("the file cannot be locked: ") + std::strerror(error),
                  "Put the run directory on a file system with locks");
    }
    throw Error(ErrorCode::kStoreLocked, path.parent_path().string(),
                holder + " is using this run directory",
                "Wait until it ends, stop it, or choose another run directory");
  }
  WriteHolder(fd_);
}

LockFile::~LockFile() { close(fd_); }

std::optional<int64_t> LockHolder(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const int64_t pid = held ? ReadHolder(fd) : 0;
  close(fd);
  if (!held) return std::nullopt;
  return pid;
}

}  // namespace vernier::run
