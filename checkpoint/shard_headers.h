// Headers of a checkpoint's shards, read by other threads a few ahead of their use: those of a
// large model are megabytes of JSON each.
#ifndef VERNIER_CHECKPOINT_SHARD_HEADERS_H_
#define VERNIER_CHECKPOINT_SHARD_HEADERS_H_

#include <cstddef>
#include <filesystem>
#include <future>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"

namespace vernier::checkpoint {

class ShardHeaders {
 public:
  struct OpenShard {
    File file;
    SafetensorsHeader header;
  };

  // Begins with the first of `files`, as many as there are processors.
  ShardHeaders(std::filesystem::path directory, std::vector<std::string> files);

  // Of a file, each once; one that is not among `files` is read now. Throws as
  // ReadSafetensorsHeader; a file that nobody takes is never an error.
  OpenShard Take(std::string_view file);

 private:
  void Begin();  // reads the next one

  std::filesystem::path directory_;
  std::vector<std::string> files_;
  std::vector<std::future<OpenShard>> shards_;  // of the first of files_
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SHARD_HEADERS_H_
