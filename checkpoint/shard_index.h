// model.safetensors.index.json: which shard holds which tensor.
#ifndef VERNIER_CHECKPOINT_SHARD_INDEX_H_
#define VERNIER_CHECKPOINT_SHARD_INDEX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_index.h"

namespace vernier::checkpoint {

struct ShardIndex {
  std::vector<std::string> files;      // sorted, each once
  NameIndex file_of_tensor;            // tensor name -> index into files
  std::optional<uint64_t> total_size;  // metadata.total_size, as written
};

// kBadIndex naming `origin` when the text is no index, names a tensor twice, or names a file
// outside the checkpoint's own directory.
ShardIndex ParseShardIndex(std::string_view json, std::string_view origin);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SHARD_INDEX_H_
