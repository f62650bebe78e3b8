#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <cassert>
#include <system_error>

#include "base/error.h"
#include "checkpoint/shard_index.h"

namespace vernier::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfigFileName = "config.json";
constexpr std::string_view kShardExtension = ".safetensors";

[[noreturn]] void FailIndex(const fs::path& directory, const std::string& problem) {
  throw Error(ErrorCode::kBadIndex, (directory / kIndexFileName).string(), problem,
              "Download the index and the shards again, from the same revision");
}

// Whether a path is there; one that cannot be looked at counts as absent.
bool Exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The only shard of a checkpoint without an index.
std::string FindSingleShard(const fs::path& directory) {
  if (Exists(directory / kSingleFileName)) return std::string(kSingleFileName);
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == kShardExtension) {
      found.push_back(entry.path().filename().string());
    }
  }
  if (found.size() == 1) return found.front();
  const std::string problem = error ? "cannot be listed: " + error.message()
                                    : "holds no " + std::string(kIndexFileName) + " and " +
                                          std::to_string(found.size()) + " *.safetensors files";
  throw Error(ErrorCode::kNoCheckpoint, directory.string(), problem,
              "Give the directory of a complete safetensors checkpoint");
}

// Adds a length as well, so that neighbouring parts cannot be confused.
void AddPart(std::string_view text, Hasher* hasher) {
  hasher->Update(std::to_string(text.size()) + ":");
  hasher->Update(text);
}

}  // namespace

Checkpoint Checkpoint::Open(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    throw Error(ErrorCode::kNoCheckpoint, directory.string(), "is not a directory",
                "Give the directory that holds config.json and the safetensors files");
  }
  Checkpoint checkpoint;
  checkpoint.directory_ = directory;
  Hasher fingerprint;
  checkpoint.ReadConfig(&fingerprint);
  if (Exists(directory / kIndexFileName)) {
    checkpoint.OpenIndexedShards(&fingerprint);
  } else {
    checkpoint.OpenSingleShard(&fingerprint);
  }
  checkpoint.fingerprint_ = fingerprint.Hex();
  return checkpoint;
}

void Checkpoint::ReadConfig(Hasher* fingerprint) {
  const fs::path path = directory_ / kConfigFileName;
  config_ = Json::object();
  if (!Exists(path)) return;
  const std::string text = ReadWholeFile(path);
  config_ = ParseJson(text, path.string());
  if (!config_.is_object()) {
    throw Error(ErrorCode::kBadConfig, path.string(), "is not a JSON object",
                "Restore the model's own config.json");
  }
  AddPart(text, fingerprint);
}

void Checkpoint::OpenIndexedShards(Hasher* fingerprint) {
  const fs::path path = directory_ / kIndexFileName;
  const ShardIndex index = ParseShardIndex(ReadWholeFile(path), path.string());
  index_total_size_ = index.total_size;
  tensors_.reserve(index.file_of_tensor.size());
  by_name_.reserve(index.file_of_tensor.size());
  for (const std::string& file : index.files) OpenShard(file, fingerprint);
  for (const TensorLocation& location : tensors_) {
    const auto it = index.file_of_tensor.find(location.info.name);
    const std::string& holder = shards_[location.shard].file_name;
    if (it == index.file_of_tensor.end()) {
      FailIndex(directory_,
                "does not list tensor \"" + location.info.name + "\", which " + holder + " holds");
    }
    if (it->second != location.shard) {
      FailIndex(directory_, "places tensor \"" + location.info.name + "\" in " +
                                index.files[it->second] + ", but " + holder + " holds it");
    }
  }
  if (index.file_of_tensor.size() == by_name_.size()) return;
  for (const auto& [name, file] : index.file_of_tensor) {
    if (!by_name_.contains(name)) {
      FailIndex(directory_,
                "lists tensor \"" + name + "\", which " + index.files[file] + " does not hold");
    }
  }
}

void Checkpoint::OpenSingleShard(Hasher* fingerprint) {
  OpenShard(FindSingleShard(directory_), fingerprint);
}

void Checkpoint::OpenShard(const std::string& file_name, Hasher* fingerprint) {
  const fs::path path = directory_ / file_name;
  File file = File::OpenForRead(path);
  SafetensorsHeader header = ReadSafetensorsHeader(file);
  const size_t shard = shards_.size();
  for (TensorInfo& tensor : header.tensors) {
    if (!by_name_.emplace(tensor.name, tensors_.size()).second) {
      FailIndex(directory_, "leads to two shards that hold tensor \"" + tensor.name +
                                "\"; the second is " + file_name);
    }
    tensors_.push_back({std::move(tensor), shard});
  }
  AddPart(file_name, fingerprint);
  AddPart(std::to_string(file.Size()), fingerprint);
  AddPart(header.hash, fingerprint);
  shards_.push_back({file_name, file.Size(), std::move(header.hash), std::move(header.metadata)});
  files_.push_back(std::move(file));
}

std::vector<std::filesystem::path> Checkpoint::ShardPaths() const {
  std::vector<std::filesystem::path> paths;
  for (const Shard& shard : shards_) paths.push_back(directory_ / shard.file_name);
  return paths;
}

size_t Checkpoint::Find(std::string_view name) const {
  const auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? kNotFound : it->second;
}

void Checkpoint::Read(size_t tensor, uint64_t offset, std::span<std::byte> out) const {
  const TensorLocation& location = tensors_.at(tensor);
  assert(offset <= location.info.Bytes() && out.size() <= location.info.Bytes() - offset);
  files_[location.shard].ReadAt(location.info.begin + offset, out);
}

uint64_t Checkpoint::TensorBytes() const {
  uint64_t bytes = 0;
  for (const TensorLocation& location : tensors_) bytes += location.info.Bytes();
  return bytes;
}

}  // namespace vernier::checkpoint
