#include "export/shard_pieces.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace vernier::exporter {
namespace {

constexpr size_t kZerosAtOnce = 4096;

void WriteZeros(uint64_t begin, uint64_t end, DirectOutput& output) {
  static constexpr std::array<std::byte, kZerosAtOnce> kZeros = {};
  for (uint64_t done = begin; done < end;) {
    const uint64_t bytes = std::min<uint64_t>(kZerosAtOnce, end - done);
    output.Write(done, std::span(kZeros).first(bytes));
    done += bytes;
  }
}

}  // namespace

std::vector<ShardPiece> CutPieces(const recipes::OutputShard& shard,
                                  const checkpoint::FileFrame& frame) {
  std::vector<ShardPiece> pieces;
  uint64_t position = 0;
  const auto add = [&](ShardPiece piece) {
    assert(piece.begin >= position && piece.end <= shard.file_bytes);
    if (piece.begin == piece.end) return;
    if (position < piece.begin) pieces.push_back({.begin = position, .end = piece.begin});
    position = piece.end;
    pieces.push_back(piece);
  };
  add({.begin = 0, .end = frame.head.size(), .frame = frame.head});
  for (size_t i = 0; i < shard.tensors.size(); ++i) {
    add({.begin = shard.tensors[i].info.begin, .end = shard.tensors[i].info.end, .tensor = i});
  }
  const uint64_t tail = shard.file_bytes - frame.tail.size();
  add({.begin = tail, .end = shard.file_bytes, .frame = frame.tail});
  if (position < shard.file_bytes) pieces.push_back({.begin = position, .end = shard.file_bytes});
  return pieces;
}

uint64_t WriteFrame(const recipes::OutputShard& shard, const checkpoint::FileFrame& frame,
                    DirectOutput& output) {
  uint64_t bytes = 0;
  for (const ShardPiece& piece : CutPieces(shard, frame)) {
    if (piece.tensor != ShardPiece::kNone) continue;
    bytes += piece.end - piece.begin;
    if (piece.frame.empty()) {
      WriteZeros(piece.begin, piece.end, output);
    } else {
      output.Write(piece.begin, std::as_bytes(std::span(piece.frame)));
    }
  }
  return bytes;
}

bool IsFramePart(const ShardPiece& piece, uint64_t offset, std::span<const std::byte> bytes) {
  if (piece.frame.empty()) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }
  return std::memcmp(piece.frame.data() + offset, bytes.data(), bytes.size()) == 0;
}

}  // namespace vernier::exporter
