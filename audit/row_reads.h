// What reading rows of weights takes where they may lie scattered among each other.
#ifndef VERNIER_AUDIT_ROW_READS_H_
#define VERNIER_AUDIT_ROW_READS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/read_ahead.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::audit {

// The slab of an expert that a tensor's rows lie scattered in, as its stored tensor and its place
// there; nothing for a tensor that lies on its own.
using Slab = std::pair<size_t, uint64_t>;
std::optional<Slab> SlabOf(const checkpoint::Checkpoint& checkpoint, size_t tensor);

// Rows [row, row + rows) of weights of one checkpoint, which have as many rows each.
class RowReads {
 public:
  // `first_file`: that of the checkpoint's first shard.
  RowReads(const checkpoint::Checkpoint& checkpoint,
           std::vector<const checkpoint::LogicalWeight*> weights, int64_t row, int64_t rows,
           size_t first_file);

  // Two a weight, of its values and its scales; empty where nothing is to be read, and where the
  // first weight's range has the bytes: what lies among each other is read once.
  std::span<const FileRange> ranges() const { return ranges_; }

  // Copies of rows that lie scattered.
  using Gathered = std::array<std::vector<std::byte>, 2>;

  // Some of these rows of a weight, without their global scale, out of the blocks that were read
  // for ranges(); `gathered` must outlive them.
  checkpoint::RawRows Take(size_t weight, int64_t row, int64_t rows,
                           std::span<const ReadBlock> blocks, Gathered& gathered) const;

 private:
  static constexpr size_t kTensors = 2;  // of a weight: values and scales

  std::span<const std::byte> TakeBytes(size_t weight, size_t kind, checkpoint::ByteRange wanted,
                                       std::span<const ReadBlock> blocks,
                                       std::vector<std::byte>& gathered) const;

  const checkpoint::Checkpoint& checkpoint_;
  std::vector<const checkpoint::LogicalWeight*> weights_;
  std::vector<FileRange> ranges_;
  std::vector<size_t> read_with_;  // by range: the one that has its bytes
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ROW_READS_H_
