#include "export/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace vernier::exporter {

DirectoryLock::DirectoryLock(const std::filesystem::path& directory)
    : fd_(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0) {
    throw Error(ErrorCode::kFileOpen, directory.string(), std::strerror(errno),
                "Check the output directory and its permissions");
  }
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(fd_);
  throw Error(ErrorCode::kOutputLocked, directory.string(),
              "another process is writing to this directory",
              "Wait until it ends, stop it, or choose another output directory");
}

DirectoryLock::~DirectoryLock() { close(fd_); }

}  // namespace vernier::exporter
