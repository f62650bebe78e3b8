// Keeps other processes from writing the same directory.
#ifndef VERNIER_EXPORT_DIRECTORY_LOCK_H_
#define VERNIER_EXPORT_DIRECTORY_LOCK_H_

#include <filesystem>

namespace vernier::exporter {

// Holds flock(2) on the directory itself, so that no file of it stays behind; the kernel drops it
// when the process ends. Where the file system cannot lock a directory (NFS), nothing is locked.
class DirectoryLock {
 public:
  // The directory must exist. kOutputLocked when another process holds it, kFileOpen.
  explicit DirectoryLock(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int fd_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_DIRECTORY_LOCK_H_
