#include "export/shard_hash.h"

#include <algorithm>
#include <cassert>
#include <optional>

#include "base/file.h"
#include "base/read_ahead.h"
#include "export/shard_pieces.h"

namespace vernier::exporter {
namespace {

using recipes::OutputShard;

// Feeds a shard's bytes, read in file order, to its tensors' hashes.
class FileWalk {
 public:
  FileWalk(const OutputShard& shard, const checkpoint::FileFrame& frame)
      : pieces_(CutPieces(shard, frame)), hash_(shard, frame) {}

  // False when the frame differs.
  bool Take(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ShardPiece& piece = pieces_[piece_];
      const auto part = bytes.first(std::min<uint64_t>(bytes.size(), piece.end - position_));
      if (piece.tensor != ShardPiece::kNone) {
        hash_.Update(piece.tensor, part);
      } else if (!IsFramePart(piece, position_ - piece.begin, part)) {
        return false;
      }
      position_ += part.size();
      if (position_ == piece.end) ++piece_;
      bytes = bytes.subspan(part.size());
    }
    return true;
  }

  std::string Hex() const { return hash_.Hex(); }

 private:
  std::vector<ShardPiece> pieces_;
  ShardHash hash_;
  uint64_t position_ = 0;
  size_t piece_ = 0;
};

}  // namespace

ShardHash::ShardHash(const OutputShard& shard, const checkpoint::FileFrame& frame)
    : shard_(shard), frame_(frame), digests_(shard.tensors.size()) {}

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
  hasher.Update(frame_.head);
  hasher.Update(frame_.tail);
  for (const std::string& digest : digests_) hasher.Update(digest);
  return hasher.Hex();
}

std::string HashShardFile(const OutputShard& shard, const checkpoint::FileFrame& frame,
                          const std::filesystem::path& path, const StreamSettings& settings,
                          const OnBytes& on_bytes) {
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
  FileWalk walk(shard, frame);
  while (const auto blocks = reader.Next()) {
    if (!walk.Take(blocks->front().bytes())) return "";
    on_bytes(blocks->front().bytes().size());
  }
  return walk.Hex();
}

}  // namespace vernier::exporter
