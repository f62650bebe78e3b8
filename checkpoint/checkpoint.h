// A Hugging Face checkpoint directory: config, shard index, tensor locations, byte reads.
#ifndef VERNIER_CHECKPOINT_CHECKPOINT_H_
#define VERNIER_CHECKPOINT_CHECKPOINT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/name_index.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_headers.h"
#include "checkpoint/stacks.h"

namespace vernier::checkpoint {

inline constexpr std::string_view kIndexFileName = "model.safetensors.index.json";
inline constexpr std::string_view kSingleFileName = "model.safetensors";

struct ShardIndex;

struct Shard {
  std::string file_name;
  uint64_t file_bytes = 0;
  std::string header_hash;  // of the length prefix and header JSON
  std::map<std::string, std::string> metadata;
};

struct TensorLocation {
  static constexpr size_t kNone = static_cast<size_t>(-1);

  TensorInfo info;  // of a part that is not contiguous, its byte range is only as long as it is
  size_t shard = 0;
  size_t part = kNone;    // of a part of a stored tensor: index into the list of those
  bool is_split = false;  // a stored tensor whose parts are tensors too
};

// Opened read-only; only headers are held in memory. All reads are positional and thread-safe.
class Checkpoint {
 public:
  // Reads config.json (absent: an empty object), the index and every shard's header. The shards are
  // those that vLLM and SGLang read (checkpoint_files.h), with all of their tensors; one that the
  // index lists and no shard holds is kBadIndex, and so is one that two shards hold.
  static Checkpoint Open(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  const Json& config() const { return config_; }
  const std::vector<Shard>& shards() const { return shards_; }
  // Those that are stored, ordered by shard, then by position in the shard; then the parts of those
  // that were split.
  const std::vector<TensorLocation>& tensors() const { return tensors_; }
  std::span<const TensorLocation> stored_tensors() const {
    return std::span(tensors_).first(stored_);
  }

  // Splits the stacks of experts that the rows describe (stacks.h), each with all of its scales or
  // not at all: before anything else is done with the tensors. One stays whole that is not `wanted`
  // (`values`: the tensor of its values), or whose parts would have the names of other tensors.
  // kBadConfig for a block size that is none.
  using WantedStack = std::function<bool(const TensorInfo& values)>;
  void SplitStacks(std::span<const StackRow> rows, const WantedStack& wanted = {});
  // Of a tensor that is a part of a stored one; null otherwise.
  const StackPart* PartOf(size_t tensor) const;

  // Of all shards, in their order.
  std::vector<std::filesystem::path> ShardPaths() const;
  // Names of *.safetensors files of the directory that engines do not read with the shards.
  const std::vector<std::string>& left_out() const { return left_out_; }

  // Index into tensors(), or kNotFound.
  static constexpr size_t kNotFound = static_cast<size_t>(-1);
  size_t Find(std::string_view name) const;
  const TensorLocation& tensor(size_t index) const { return tensors_.at(index); }

  // The bytes of a shard that have to be read for bytes [begin, end) of a tensor, which are whole
  // rows of a part that is not contiguous: then GatherRows takes them out.
  StoredRange FileRangeOf(size_t tensor, uint64_t begin, uint64_t end) const;

  // Reads bytes [offset, offset + out.size()) of a tensor, multiples of ReadUnit: one byte, or of a
  // part that is not contiguous a row. All that they lie among is in memory meanwhile, of a
  // transposed part its expert's slab: such a one is read at once (its unit is all of it).
  uint64_t ReadUnit(size_t tensor) const;
  void Read(size_t tensor, uint64_t offset, std::span<std::byte> out) const;

  // Hash of config.json and of every shard's name, size and header: what a run is tied to.
  const std::string& fingerprint() const { return fingerprint_; }
  // Sum of tensor bytes, as the index's total_size should say.
  uint64_t TensorBytes() const;
  // The index's total_size as written; nothing without an index or without the field.
  const std::optional<uint64_t>& index_total_size() const { return index_total_size_; }

 private:
  Checkpoint() = default;

  void ReadConfig(Hasher* fingerprint);
  void AddShard(const std::string& file_name, ShardHeaders::OpenShard opened, Hasher* fingerprint);
  void RequireListed(const ShardIndex& index) const;
  void AddPart(NamedPart part);

  std::filesystem::path directory_;
  Json config_;
  std::vector<Shard> shards_;
  std::vector<File> files_;
  std::vector<std::string> left_out_;
  std::vector<TensorLocation> tensors_;
  size_t stored_ = 0;  // how many of tensors_ are no parts
  std::vector<StackPart> parts_;
  NameIndex by_name_;
  std::optional<uint64_t> index_total_size_;
  std::string fingerprint_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CHECKPOINT_H_
