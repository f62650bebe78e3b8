#include "checkpoint/shard_headers.h"

#include <algorithm>
#include <utility>

#include "base/thread_count.h"

namespace vernier::checkpoint {
namespace {

ShardHeaders::OpenShard Open(const std::filesystem::path& path) {
  File file = File::OpenForRead(path);
  SafetensorsHeader header = ReadSafetensorsHeader(file);
  return {std::move(file), std::move(header)};
}

}  // namespace

ShardHeaders::ShardHeaders(std::filesystem::path directory, std::vector<std::string> files)
    : directory_(std::move(directory)), files_(std::move(files)) {
  const size_t ahead = std::min(files_.size(), static_cast<size_t>(ThreadCount()));
  while (shards_.size() < ahead) Begin();
}

void ShardHeaders::Begin() {
  shards_.push_back(std::async(std::launch::async, Open, directory_ / files_[shards_.size()]));
}

ShardHeaders::OpenShard ShardHeaders::Take(std::string_view file) {
  const auto shard = static_cast<size_t>(std::ranges::find(files_, file) - files_.begin());
  if (shard == files_.size()) return Open(directory_ / file);
  while (shards_.size() <= shard) Begin();
  OpenShard taken = shards_[shard].get();
  if (shards_.size() < files_.size()) Begin();
  return taken;
}

}  // namespace vernier::checkpoint
