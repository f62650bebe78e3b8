// One process at a time in a run directory.
#ifndef VERNIER_RUN_LOCK_FILE_H_
#define VERNIER_RUN_LOCK_FILE_H_

#include <cstdint>
#include <filesystem>
#include <optional>

namespace vernier::run {

// Holds flock(2) on a file that names the holder's process id. The kernel drops the lock when the
// process ends, however it ends; the file itself stays.
class LockFile {
 public:
  // kStoreLocked, naming the holder, when another process (or this one) has the lock.
  explicit LockFile(const std::filesystem::path& path);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  int fd_;
};

// The process that holds the lock `path` now (0: it did not say); nothing when nobody does.
std::optional<int64_t> LockHolder(const std::filesystem::path& path);

}  // namespace vernier::run

#endif  // VERNIER_RUN_LOCK_FILE_H_
