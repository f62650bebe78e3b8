// The hash by which a finished shard is known.
#ifndef VERNIER_EXPORT_SHARD_HASH_H_
#define VERNIER_EXPORT_SHARD_HASH_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "checkpoint/containers/container.h"
#include "export/on_bytes.h"
#include "export/stream_settings.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// XXH3-128 of the frame's bytes and then of each tensor's XXH3-128 (as hexadecimal digits), in
// file order: tensors may be written in any order, each from its beginning to its end.
class ShardHash {
 public:
  ShardHash(const recipes::OutputShard& shard, const checkpoint::FileFrame& frame);

  // The next bytes of a tensor (index into OutputShard::tensors).
  void Update(size_t tensor, std::span<const std::byte> bytes);

  // After all bytes of all tensors.
  std::string Hex() const;

 private:
  struct OpenTensor {
    Hasher hasher;
    uint64_t bytes = 0;
  };

  const recipes::OutputShard& shard_;
  const checkpoint::FileFrame& frame_;
  std::vector<std::string> digests_;
  std::map<size_t, OpenTensor> open_;
};

// The same of a file that should be this shard; empty when its length or frame is another.
std::string HashShardFile(const recipes::OutputShard& shard, const checkpoint::FileFrame& frame,
                          const std::filesystem::path& path, const StreamSettings& settings,
                          const OnBytes& on_bytes);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SHARD_HASH_H_
