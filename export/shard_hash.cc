#include "export/shard_hash.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "base/read_ahead.h"

namespace vernier::exporter {
namespace {

using recipes::OutputShard;

// Feeds a shard's bytes, read in file order, to its tensors' hashes.
class FileWalk {
 public:
  explicit FileWalk(const OutputShard& shard) : shard_(shard), hash_(shard) {}

  // False when the header differs.
  bool Take(std::span<const std::byte> bytes) {
    const uint64_t header = shard_.prefix.size();
    if (position_ < header) {
      const auto part = bytes.first(std::min<uint64_t>(bytes.size(), header - position_));
      if (std::memcmp(part.data(), shard_.prefix.data() + position_, part.size()) != 0) {
        return false;
      }
      position_ += part.size();
      bytes = bytes.subspan(part.size());
    }
    while (!bytes.empty()) {
      while (shard_.tensors[tensor_].info.end <= position_) ++tensor_;
      const uint64_t left = shard_.tensors[tensor_].info.end - position_;
      const auto part = bytes.first(std::min<uint64_t>(bytes.size(), left));
      hash_.Update(tensor_, part);
      position_ += part.size();
      bytes = bytes.subspan(part.size());
    }
    return true;
  }

  std::string Hex() const { return hash_.Hex(); }

 private:
  const OutputShard& shard_;
  ShardHash hash_;
  uint64_t position_ = 0;
  size_t tensor_ = 0;
};

}  // namespace

ShardHash::ShardHash(const OutputShard& shard) : shard_(shard), digests_(shard.tensors.size()) {}

void ShardHash::Update(size_t tensor, std::span<const std::byte> bytes) {
  OpenTensor& open = open_[tensor];
  open.hasher.Update(bytes);
  open.bytes += bytes.size();
  assert(open.bytes <= shard_.tensors[tensor].info.Bytes());
  if (open.bytes < shard_.tensors[tensor].info.Bytes()) return;
  digests_[tensor] = open.hasher.Hex();
  open_.erase(tensor);
}

std::string ShardHash::Hex() const {
  assert(open_.empty() && "a tensor has been hashed in part");
  Hasher hasher;
  hasher.Update(shard_.prefix);
  for (const std::string& digest : digests_) hasher.Update(digest);
  return hasher.Hex();
}

std::string HashShardFile(const OutputShard& shard, const std::filesystem::path& path,
                          const StreamSettings& settings, const OnBytes& on_bytes) {
  if (!std::filesystem::is_regular_file(path) ||
      std::filesystem::file_size(path) != shard.file_bytes) {
    return "";
  }
  const auto next = [done = uint64_t{0},
                     size = shard.file_bytes]() mutable -> std::optional<ReadAhead::Job> {
    if (done == size) return std::nullopt;
    const uint64_t begin = done;
    done = std::min(size, done + kChunkBytes);
    return ReadAhead::Job{{0, begin, done}};
  };
  ReadAhead reader({path}, next, settings.limits.read_ahead_bytes,
                   BufferPool::Make(settings.limits.spare_bytes), settings.io);
  FileWalk walk(shard);
  while (const auto blocks = reader.Next()) {
    if (!walk.Take(blocks->front().bytes())) return "";
    on_bytes(blocks->front().bytes().size());
  }
  return walk.Hex();
}

}  // namespace vernier::exporter
