#include "calib/store/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace vernier::calib {
namespace {

constexpr size_t kMaxPidDigits = 20;

// What the holder wrote about itself, or "another process".
std::string DescribeHolder(int fd) {
  char digits[kMaxPidDigits] = {};
  const ssize_t got = pread(fd, digits, sizeof(digits) - 1, 0);
  if (got <= 0) return "another process";
  return "process " + std::string(digits, static_cast<size_t>(got));
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
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
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

}  // namespace vernier::calib
