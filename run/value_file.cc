#include "run/value_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <system_error>

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

// kStoreCorrupt unless the file has room for the value.
File OpenValueFile(const std::filesystem::path& path, const ValuePlace& place) {
  if (!std::filesystem::exists(path)) {
    FailFile(path, "the values that the store has in this file are not there");
  }
  File file = File::OpenForRead(path);
  if (place.offset + place.length > file.Size()) FailFile(path, "is shorter than the store says");
  return file;
}

void RequireHash(const std::string& hash, const ValuePlace& place,
                 const std::filesystem::path& path, std::string_view what) {
  if (hash == place.hash) return;
  FailFile(path, fmt::format("{} does not have the hash in the store", what));
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

std::optional<int> UnitOfValueFile(const std::filesystem::path& path) {
  if (path.extension() != kValueFileExtension) return std::nullopt;
  const std::string name = path.stem().string();
  const size_t end = name.rfind('-');
  const size_t begin = end == std::string::npos || end == 0 ? end : name.rfind('-', end - 1);
  if (begin == std::string::npos) return std::nullopt;
  int unit = 0;
  const char* last = name.data() + end;
  const auto [stop, problem] = std::from_chars(name.data() + begin + 1, last, unit);
  return problem == std::errc() && stop == last ? std::optional(unit) : std::nullopt;
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
  const File file = OpenValueFile(path, place);
  std::vector<std::byte> value(place.length);
  file.ReadAt(place.offset, value);
  RequireHash(HashOf(value), place, path, what);
  return value;
}

void CheckValueFile(const std::filesystem::path& run_dir, const ValuePlace& place,
                    std::string_view what) {
  constexpr uint64_t kChunk = 4u << 20u;
  const std::filesystem::path path = run_dir / place.file;
  const File file = OpenValueFile(path, place);
  Hasher hasher;
  std::vector<std::byte> chunk;
  for (uint64_t done = 0; done < place.length; done += chunk.size()) {
    chunk.resize(std::min(kChunk, place.length - done));
    file.ReadAt(place.offset + done, chunk);
    hasher.Update(chunk);
  }
  RequireHash(hasher.Hex(), place, path, what);
}

void ReadValuePart(const std::filesystem::path& run_dir, const ValuePlace& place, uint64_t offset,
                   std::span<std::byte> out) {
  assert(offset + out.size() <= place.length);
  OpenValueFile(run_dir / place.file, place).ReadAt(place.offset + offset, out);
}

}  // namespace vernier::run
