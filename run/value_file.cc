#include "run/value_file.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"

namespace vernier::run {
namespace {

[[noreturn]] void FailFile(const std::filesystem::path& path, const std::string& problem) {
  throw Error(ErrorCode::kStoreCorrupt, path.string(), problem,
              "Restore the file, or delete the run directory and calibrate again");
}

std::string HashOf(std::span<const std::byte> value) {
  Hasher hasher;
  hasher.Update(value);
  return hasher.Hex();
}

}  // namespace

// The first of a number of names that is not taken. The files of older saves may still be there.
std::filesystem::path ValueFileWriter::FreePath() const {
  for (int save = 0;; ++save) {
    std::filesystem::path path =
        run_dir_ / fmt::format("{}-{:04}-{}{}", kind_, unit_, save, kValueFileExtension);
    if (!std::filesystem::exists(path)) return path;
  }
}

ValuePlace ValueFileWriter::Append(std::span<const std::byte> value) {
  if (!file_) file_.emplace(File::OpenForWrite(FreePath(), /*truncate=*/true));
  file_->WriteAt(offset_, value);
  const uint64_t offset = offset_;
  offset_ += value.size();
  return {file_->path().filename().string(), offset, value.size(), HashOf(value)};
}

void ValueFileWriter::Finish() {
  if (!file_) return;
  file_->Sync();
  SyncDirectory(run_dir_);
}

std::vector<std::byte> ReadValueFile(const std::filesystem::path& run_dir, const ValuePlace& place,
                                     std::string_view what) {
  const std::filesystem::path path = run_dir / place.file;
  if (!std::filesystem::exists(path)) {
    FailFile(path, "the values that the store has in this file are not there");
  }
  const File file = File::OpenForRead(path);
  if (place.offset + place.length > file.Size()) FailFile(path, "is shorter than the store says");
  std::vector<std::byte> value(place.length);
  file.ReadAt(place.offset, value);
  if (HashOf(value) != place.hash) {
    FailFile(path, fmt::format("{} does not have the hash in the store", what));
  }
  return value;
}

}  // namespace vernier::run
