// A shard's bytes in file order: those of its tensors, and those around them.
#ifndef VERNIER_EXPORT_SHARD_PIECES_H_
#define VERNIER_EXPORT_SHARD_PIECES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/direct_output.h"
#include "checkpoint/containers/container.h"
#include "recipes/plan.h"

namespace vernier::exporter {

struct ShardPiece {
  static constexpr size_t kNone = static_cast<size_t>(-1);

  uint64_t begin = 0;  // in the file
  uint64_t end = 0;
  size_t tensor = kNone;        // index into OutputShard::tensors
  std::string_view frame = {};  // of a piece that is no tensor's: its bytes, or nothing for zeros
};

// Without gaps, from the file's first byte to its last; no piece is empty. They point into `frame`.
std::vector<ShardPiece> CutPieces(const recipes::OutputShard& shard,
                                  const checkpoint::FileFrame& frame);

// Writes all that is no tensor's; returns how many bytes that is.
uint64_t WriteFrame(const recipes::OutputShard& shard, const checkpoint::FileFrame& frame,
                    DirectOutput& output);

// Whether `bytes`, which lie at `offset` in a piece that is no tensor's, are its own.
bool IsFramePart(const ShardPiece& piece, uint64_t offset, std::span<const std::byte> bytes);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SHARD_PIECES_H_
