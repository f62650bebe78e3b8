// Which files of a directory hold a checkpoint's weights.
#ifndef VERNIER_CHECKPOINT_CHECKPOINT_FILES_H_
#define VERNIER_CHECKPOINT_CHECKPOINT_FILES_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/shard_index.h"

namespace vernier::checkpoint {

// What people and hubs read of a model: its licence, what it is for.
inline constexpr std::string_view kModelCardFileName = "README.md";

// The *.safetensors files of a directory that are not hidden, sorted. kNoCheckpoint where it cannot
// be listed.
std::vector<std::string> ListShards(const std::filesystem::path& directory);

struct CheckpointFiles {
  std::optional<ShardIndex> index;
  std::vector<std::string> shards;    // those of the index first, in its order
  std::vector<std::string> left_out;  // *.safetensors files that are not among them, sorted
};

// - With an index, the files that it names: vLLM and SGLang filter by it. A file of MTP layers
//   (mtp.safetensors, nextn_layer_parameters.safetensors) belongs to them where config.json
//   announces such layers, as SGLang's maybe_add_mtp_safetensors has it.
// - Without one, model.safetensors, and a file of MTP layers beside it.
// - Without that too, every *.safetensors file, sorted; Mistral's consolidated.safetensors only
//   where it is alone, because beside others it holds the same weights under other names.
//
// kBadIndex when a named shard is not there (with what is there), and as ParseShardIndex;
// kNoCheckpoint, naming weights in other containers, when there is no shard at all.
CheckpointFiles FindCheckpointFiles(const std::filesystem::path& directory, const Json& config);

// Whether a file of this name holds tensors, in any container, read or not.
bool IsWeightFile(std::string_view name);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CHECKPOINT_FILES_H_
