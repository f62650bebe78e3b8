#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <system_error>

#include "base/error.h"
#include "checkpoint/block_size.h"
#include "checkpoint/checkpoint_files.h"

namespace vernier::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfigFileName = "config.json";

constexpr std::string_view kSameRevision =
    "Download the index and the shards again, from the same revision";

// Whether a path is there; one that cannot be looked at counts as absent.
bool Exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Adds a length as well, so that neighbouring parts cannot be confused.
void AddText(std::string_view text, Hasher* hasher) {
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
  ShardHeaders headers(directory, ListShards(directory));
  CheckpointFiles files = FindCheckpointFiles(directory, checkpoint.config_);
  for (const std::string& file : files.shards) {
    checkpoint.AddShard(file, headers.Take(file), &fingerprint);
  }
  if (files.index) {
    checkpoint.index_total_size_ = files.index->total_size;
    checkpoint.RequireListed(*files.index);
  }
  checkpoint.left_out_ = std::move(files.left_out);
  checkpoint.fingerprint_ = fingerprint.Hex();
  checkpoint.stored_ = checkpoint.tensors_.size();
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
  AddText(text, fingerprint);
}

// Engines find a tensor in whichever of the shards it is, and read those that the index does not
// list.
void Checkpoint::RequireListed(const ShardIndex& index) const {
  for (const auto& [name, file] : index.file_of_tensor) {
    if (by_name_.contains(name)) continue;
    throw Error(ErrorCode::kBadIndex, (directory_ / kIndexFileName).string(),
                "lists tensor \"" + name + "\", which " + index.files[file] + " does not hold",
                kSameRevision);
  }
}

void Checkpoint::AddShard(const std::string& file_name, ShardHeaders::OpenShard opened,
                          Hasher* fingerprint) {
  auto& [file, header] = opened;
  const size_t shard = shards_.size();
  if (shard == 0) by_name_.reserve(header.tensors.size());  // later ones let it grow
  for (TensorInfo& tensor : header.tensors) {
    const auto [entry, is_new] = by_name_.emplace(tensor.name, tensors_.size());
    if (!is_new) {
      throw Error(ErrorCode::kBadIndex, directory_.string(),
                  "holds tensor \"" + tensor.name + "\" twice, in " +
                      shards_[tensors_[entry->second].shard].file_name + " and in " + file_name,
                  "Remove the file that does not belong to the model, or fetch its index");
    }
    tensors_.push_back({.info = std::move(tensor), .shard = shard});
  }
  AddText(file_name, fingerprint);
  AddText(std::to_string(file.Size()), fingerprint);
  AddText(header.hash, fingerprint);
  shards_.push_back({file_name, file.Size(), std::move(header.hash), std::move(header.metadata)});
  files_.push_back(std::move(file));
}

std::vector<std::filesystem::path> Checkpoint::ShardPaths() const {
  std::vector<std::filesystem::path> paths;
  for (const Shard& shard : shards_) paths.push_back(directory_ / shard.file_name);
  return paths;
}

size_t Checkpoint::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? kNotFound : it->second;
}

void Checkpoint::Read(size_t tensor, uint64_t offset, std::span<std::byte> out) const {
  const TensorLocation& location = tensors_.at(tensor);
  assert(offset <= location.info.Bytes() && out.size() <= location.info.Bytes() - offset);
  const StoredRange range = FileRangeOf(tensor, offset, offset + out.size());
  const StackPart* part = PartOf(tensor);
  if (part == nullptr || part->contiguous()) {
    return files_[location.shard].ReadAt(range.begin, out);
  }
  std::vector<std::byte> covering(range.end - range.begin);
  files_[location.shard].ReadAt(range.begin, covering);
  GatherRows(*part, offset, covering, out);
}

const StackPart* Checkpoint::PartOf(size_t tensor) const {
  const size_t part = tensors_.at(tensor).part;
  return part == TensorLocation::kNone ? nullptr : &parts_[part];
}

StoredRange Checkpoint::FileRangeOf(size_t tensor, uint64_t begin, uint64_t end) const {
  const StackPart* part = PartOf(tensor);
  if (part == nullptr) {
    const TensorInfo& info = tensors_[tensor].info;
    return {info.begin + begin, info.begin + end};
  }
  const uint64_t stored = tensors_[part->stored].info.begin;
  const StoredRange range = CoveringRange(*part, begin, end - begin);
  return {stored + range.begin, stored + range.end};
}

uint64_t Checkpoint::ReadUnit(size_t tensor) const {
  const StackPart* part = PartOf(tensor);
  if (part == nullptr || part->contiguous()) return 1;
  return part->transposed ? tensors_[tensor].info.Bytes() : part->row_bytes();
}

void Checkpoint::SplitStacks(std::span<const StackRow> rows, const WantedStack& wanted) {
  assert(tensors_.size() == stored_);
  if (rows.empty()) return;
  const std::vector<Stack> stacks = FindStacks(
      stored_tensors().size(), [this](size_t i) -> const TensorInfo& { return tensors_[i].info; },
      rows);
  if (stacks.empty()) return;
  const BlockSize blocks = ReadFp8BlockSize(config_);
  std::vector<NamedPart> all;  // found before the first is added: stacks point into tensors_
  for (const Stack& stack : stacks) {
    if (wanted && !wanted(tensors_[stack.values()].info)) continue;
    std::vector<NamedPart> parts = PartsOf(stack, blocks);
    const bool are_new = std::ranges::none_of(
        parts, [&](const NamedPart& part) { return by_name_.contains(part.spec.name); });
    if (are_new) std::ranges::move(parts, std::back_inserter(all));
  }
  tensors_.reserve(tensors_.size() + all.size());
  for (NamedPart& part : all) AddPart(std::move(part));
}

void Checkpoint::AddPart(NamedPart part) {
  TensorLocation& stored = tensors_[part.part.stored];
  stored.is_split = true;
  const size_t shard = stored.shard;
  const uint64_t begin = stored.info.begin + CoveringRange(part.part, 0, 0).begin;
  by_name_.emplace(part.spec.name, tensors_.size());
  tensors_.push_back(
      {.info = PlaceTensor(std::move(part.spec), begin), .shard = shard, .part = parts_.size()});
  parts_.push_back(std::move(part.part));
}

uint64_t Checkpoint::TensorBytes() const {
  uint64_t bytes = 0;
  for (const TensorLocation& location : stored_tensors()) bytes += location.info.Bytes();
  return bytes;
}

}  // namespace vernier::checkpoint
