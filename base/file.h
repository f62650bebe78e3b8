// POSIX files with checked reads and writes, and the "finished or absent" way of writing.
#ifndef VERNIER_BASE_FILE_H_
#define VERNIER_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace vernier {

enum class FileAccess {
  kBuffered,  // through the page cache
  kDirect,    // around it; where the file system refuses, through it
};

// An open file descriptor. Positional reads and writes are thread-safe; moving is not.
// All failures throw Error (kFileOpen, kFileRead, kFileWrite, kNoSpace) naming the path.
class File {
 public:
  // Of a file opened for direct access, offsets, lengths and addresses must be multiples of
  // kIoAlignment while direct() is true.
  static File OpenForRead(const std::filesystem::path& path,
                          FileAccess access = FileAccess::kBuffered);
  // Opens for reading and writing; creates the file if absent, truncates it if `truncate`.
  static File OpenForWrite(const std::filesystem::path& path, bool truncate,
                           FileAccess access = FileAccess::kBuffered);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  const std::filesystem::path& path() const { return path_; }
  uint64_t Size() const;
  int descriptor() const { return fd_; }
  bool direct() const { return direct_; }

  // Fills `out` from `offset`; a short file is an error.
  void ReadAt(uint64_t offset, std::span<std::byte> out) const;
  // The same for at least the first `needed` bytes of `out`: the rest may lie behind the file's
  // end.
  void ReadAtLeast(uint64_t offset, std::span<std::byte> out, uint64_t needed) const;
  void WriteAt(uint64_t offset, std::span<const std::byte> bytes) const;
  // Reserves disk blocks for [0, size) and sets the length, so that a full disk shows now.
  void Preallocate(uint64_t size) const;
  void Truncate(uint64_t size) const;
  void Sync() const;

 private:
  File(std::filesystem::path path, int fd, bool direct)
      : path_(std::move(path)), fd_(fd), direct_(direct) {}
  static File Open(const std::filesystem::path& path, int flags, FileAccess access);

  std::filesystem::path path_;
  int fd_ = -1;
  bool direct_ = false;
};

// kNoSpace for a full disk or quota, kFileWrite otherwise; `error` is an errno.
[[noreturn]] void ThrowWriteError(const std::filesystem::path& path, int error);
// kFileRead: the file ends at byte `end`, before byte `wanted`.
[[noreturn]] void ThrowFileTooShort(const std::filesystem::path& path, uint64_t end,
                                    uint64_t wanted);

std::string ReadWholeFile(const std::filesystem::path& path);

// Writes through "<path>.partial", fsyncs, renames and fsyncs the directory: a reader sees the old
// content or all of the new one.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// The temporary name under which `path` is written before it is finished.
std::filesystem::path PartialPath(const std::filesystem::path& path);

// fsyncs PartialPath(path) (already written), renames it to `path` and fsyncs the directory.
void PublishPartial(const std::filesystem::path& path);

// Makes the names in `directory` durable.
void SyncDirectory(const std::filesystem::path& directory);

// Creates the directory and its missing parents, each durably.
void CreateDirectories(const std::filesystem::path& directory);

// Throws kNoSpace unless the file system of `directory` (or its nearest existing parent) has
// `bytes` free. `purpose` names what they are for.
void RequireFreeSpace(const std::filesystem::path& directory, uint64_t bytes,
                      std::string_view purpose);

template <typename T>
std::span<const std::byte> AsBytes(std::span<const T> values) {
  return std::as_bytes(values);
}

}  // namespace vernier

#endif  // VERNIER_BASE_FILE_H_
