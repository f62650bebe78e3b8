// A library to be preloaded: makes a chosen write, fsync, rename and so on fail as on a full or
// broken disk. io_uring writes without these calls, so the program must run with
// VERNIER_IO=threads.
#include "tests/faults/io_shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using namespace vernier::testing;

constexpr mode_t kLogMode = 0600;

// The function that this library stands in front of.
template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string Text(const char* variable) {
  const char* value = getenv(variable);
  return value == nullptr ? "" : value;
}

long Number(const char* variable) { return std::strtol(Text(variable).c_str(), nullptr, 10); }

std::string PathOf(int fd) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  return length < 0 ? "" : std::string(path, static_cast<size_t>(length));
}

class Shim {
 public:
  static Shim& Get() {
    static Shim shim;
    return shim;
  }

  bool no_sync() const { return no_sync_; }

  // Counts a call; true, with errno set, when it is to fail.
  bool Fails(const char* call, int fd) {
    return !root_.empty() && !no_sync_ && Fails(call, PathOf(fd));
  }
  bool Fails(const char* call, const std::string& path, const std::string& rest = "") {
    if (root_.empty() || no_sync_ || !path.starts_with(root_)) return false;
    const long number = ++calls_;
    const bool fails = fail_ > 0 && (number == fail_ || (sticky_ && number > fail_));
    Log(std::string(call) + " " + path + rest + (fails ? " FAILED\n" : "\n"));
    if (fails) errno = error_;
    return fails;
  }

 private:
  Shim() {
    const std::string log = Text(kShimLog);
    if (log.empty() || root_.empty()) return;
    log_ = Real<int(const char*, int, ...)>("open")(
        log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, kLogMode);
  }

  void Log(const std::string& line) const {
    if (log_ < 0) return;
    [[maybe_unused]] const ssize_t put =
        Real<ssize_t(int, const void*, size_t)>("write")(log_, line.data(), line.size());
  }

  std::string root_ = Text(kShimRoot);
  long fail_ = Number(kShimFail);
  int error_ = static_cast<int>(Number(kShimErrno));
  bool sticky_ = !Text(kShimSticky).empty();
  bool no_sync_ = !Text(kShimNoSync).empty();
  int log_ = -1;
  std::atomic<long> calls_ = 0;
};

int OpenWith(const char* name, const char* path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0 && Shim::Get().Fails(name, path)) return -1;
  return Real<int(const char*, int, ...)>(name)(path, flags, mode);
}

int SyncWith(const char* name, int fd) {
  if (Shim::Get().no_sync()) return 0;
  return Shim::Get().Fails(name, fd) ? -1 : Real<int(int)>(name)(fd);
}

ssize_t WriteAtWith(const char* name, int fd, const void* data, size_t bytes, off_t offset) {
  if (Shim::Get().Fails(name, fd)) return -1;
  return Real<ssize_t(int, const void*, size_t, off_t)>(name)(fd, data, bytes, offset);
}

int ResizeWith(const char* name, int fd, off_t size) {
  return Shim::Get().Fails(name, fd) ? -1 : Real<int(int, off_t)>(name)(fd, size);
}

int AllocateWith(const char* name, int fd, off_t offset, off_t size) {
  if (Shim::Get().Fails(name, fd)) return errno;
  return Real<int(int, off_t, off_t)>(name)(fd, offset, size);
}

// The optional last argument of open.
mode_t ModeOf(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenWith("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenWith("open64", path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t bytes) {
  if (Shim::Get().Fails("write", fd)) return -1;
  return Real<ssize_t(int, const void*, size_t)>("write")(fd, data, bytes);
}

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  return WriteAtWith("pwrite", fd, data, bytes, offset);
}

ssize_t pwrite64(int fd, const void* data, size_t bytes, off_t offset) {
  return WriteAtWith("pwrite64", fd, data, bytes, offset);
}

int fsync(int fd) { return SyncWith("fsync", fd); }

int fdatasync(int fd) { return SyncWith("fdatasync", fd); }

int ftruncate(int fd, off_t size) noexcept { return ResizeWith("ftruncate", fd, size); }

int ftruncate64(int fd, off_t size) noexcept { return ResizeWith("ftruncate64", fd, size); }

int posix_fallocate(int fd, off_t offset, off_t size) {
  return AllocateWith("posix_fallocate", fd, offset, size);
}

int posix_fallocate64(int fd, off_t offset, off_t size) {
  return AllocateWith("posix_fallocate64", fd, offset, size);
}

int rename(const char* from, const char* to) noexcept {
  if (Shim::Get().Fails("rename", from, std::string(" ") + to)) return -1;
  return Real<int(const char*, const char*)>("rename")(from, to);
}

int unlink(const char* path) noexcept {
  if (Shim::Get().Fails("unlink", path)) return -1;
  return Real<int(const char*)>("unlink")(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (Shim::Get().Fails("mkdir", path)) return -1;
  return Real<int(const char*, mode_t)>("mkdir")(path, mode);
}

}  // extern "C"
