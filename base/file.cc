#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "base/text.h"

namespace vernier {
namespace {

// One read or write call moves at most this much, well below the kernel's limit of 2 GiB.
constexpr size_t kMaxTransfer = size_t{1} << 30;

constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0777;  // less the user's mask

int OpenOrThrow(const std::filesystem::path& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  if (fd >= 0) return fd;
  const int error = errno;
  if ((flags & O_ACCMODE) != O_RDONLY && error == ENOSPC) ThrowWriteError(path, error);
  throw Error(ErrorCode::kFileOpen, path.string(), std::strerror(error),
              "Check the path and the permissions");
}

// Some file systems accept O_DIRECT and then refuse every transfer.
bool CanReadDirectly(int fd) {
  const AlignedBuffer block(kIoAlignment);
  return pread(fd, block.data(), block.size(), 0) >= 0;
}

}  // namespace

void ThrowWriteError(const std::filesystem::path& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    throw Error(ErrorCode::kNoSpace, path.string(), "no space left on the device",
                "Free some space and run the same command again; finished work is kept");
  }
  throw Error(ErrorCode::kFileWrite, path.string(), std::strerror(error),
              "Check the path, the permissions and the disk");
}

void ThrowFileTooShort(const std::filesystem::path& path, uint64_t end, uint64_t wanted) {
  throw Error(ErrorCode::kFileRead, path.string(),
              fmt::format("the file ends at byte {}, {} bytes too early", end, wanted - end),
              "The file is truncated; fetch it again");
}

File File::Open(const std::filesystem::path& path, int flags, FileAccess access) {
  const int fd = OpenOrThrow(path, flags);
  if (access == FileAccess::kBuffered) return File(path, fd, false);
  File direct(path, open(path.c_str(), (flags & O_ACCMODE) | O_DIRECT | O_CLOEXEC), true);
  if (direct.fd_ >= 0 && CanReadDirectly(direct.fd_)) {
    close(fd);
    return direct;
  }
  return File(path, fd, false);
}

File File::OpenForRead(const std::filesystem::path& path, FileAccess access) {
  return Open(path, O_RDONLY, access);
}

File File::OpenForWrite(const std::filesystem::path& path, bool truncate, FileAccess access) {
  return Open(path, O_RDWR | O_CREAT | (truncate ? O_TRUNC : 0), access);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), direct_(other.direct_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(direct_, other.direct_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) close(fd_);
}

uint64_t File::Size() const {
  struct stat info;
  if (fstat(fd_, &info) != 0) {
    throw Error(ErrorCode::kFileRead, path_.string(), std::strerror(errno), "Check the disk");
  }
  return static_cast<uint64_t>(info.st_size);
}

void File::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  ReadAtLeast(offset, out, out.size());
}

void File::ReadAtLeast(uint64_t offset, std::span<std::byte> out, uint64_t needed) const {
  const uint64_t end = offset + needed;
  while (offset < end) {
    const ssize_t got =
        pread(fd_, out.data(), std::min(out.size(), kMaxTransfer), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(ErrorCode::kFileRead, path_.string(), std::strerror(errno), "Check the disk");
    }
    if (got == 0) ThrowFileTooShort(path_, offset, end);
    offset += static_cast<uint64_t>(got);
    out = out.subspan(static_cast<size_t>(got));
  }
}

void File::WriteAt(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t put =
        pwrite(fd_, bytes.data(), std::min(bytes.size(), kMaxTransfer), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) ThrowWriteError(path_, errno);
    offset += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void File::Preallocate(uint64_t size) const {
  if (size == 0) return;
  const int error = posix_fallocate(fd_, 0, static_cast<off_t>(size));
  if (error == 0) return;
  // Not every file system can reserve blocks; the length alone is then all there is.
  if (error == EOPNOTSUPP || error == EINVAL) {
    Truncate(size);
    return;
  }
  ThrowWriteError(path_, error);
}

void File::Truncate(uint64_t size) const {
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0) ThrowWriteError(path_, errno);
}

void File::Sync() const {
  if (fsync(fd_) != 0) ThrowWriteError(path_, errno);
}

std::string ReadWholeFile(const std::filesystem::path& path) {
  const File file = File::OpenForRead(path);
  std::string content(file.Size(), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(content)));
  return content;
}

void SyncDirectory(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory.empty() ? "." : directory;
  const int fd = OpenOrThrow(path, O_RDONLY | O_DIRECTORY);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  // Some file systems cannot sync a directory and say EINVAL.
  if (result != 0 && error != EINVAL) ThrowWriteError(path, error);
}

std::filesystem::path PartialPath(const std::filesystem::path& path) {
  return path.parent_path() / (path.filename().string() + ".partial");
}

void PublishPartial(const std::filesystem::path& path) {
  const std::filesystem::path partial = PartialPath(path);
  File::OpenForWrite(partial, /*truncate=*/false).Sync();
  if (rename(partial.c_str(), path.c_str()) != 0) ThrowWriteError(path, errno);
  SyncDirectory(path.parent_path());
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  const File file = File::OpenForWrite(PartialPath(path), /*truncate=*/true);
  file.WriteAt(0, std::as_bytes(std::span(content)));
  PublishPartial(path);
}

void CreateDirectories(const std::filesystem::path& directory) {
  if (directory.empty() || std::filesystem::is_directory(directory)) return;
  const std::filesystem::path parent = directory.parent_path();
  CreateDirectories(parent);
  // "a/b/" is "a/b", which the call above has created.
  if (!directory.has_filename()) return;
  if (mkdir(directory.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    ThrowWriteError(directory, errno);
  }
  if (!std::filesystem::is_directory(directory)) ThrowWriteError(directory, ENOTDIR);
  SyncDirectory(parent);
}

void RequireFreeSpace(const std::filesystem::path& directory, uint64_t bytes,
                      std::string_view purpose) {
  std::filesystem::path existing = std::filesystem::absolute(directory);
  while (!std::filesystem::exists(existing) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  const uint64_t available = std::filesystem::space(existing).available;
  if (available >= bytes) return;
  throw Error(
      ErrorCode::kNoSpace, directory.string(),
      fmt::format("{} needs {} and {} are free", purpose, HumanBytes(bytes), HumanBytes(available)),
      "Free some space or choose another place");
}

}  // namespace vernier
