#include "checkpoint/tensor_digests.h"

#include <algorithm>
#include <vector>

namespace vernier::checkpoint {
namespace {

constexpr uint64_t kHashedAtOnce = 8u << 20u;

}  // namespace

void TensorDigests::Add(size_t tensor, uint64_t begin, std::span<const std::byte> bytes) {
  if (observer_ == nullptr || bytes.empty()) return;
  auto found = open_.find(tensor);
  if (found == open_.end()) {
    if (begin > 0) return;
    found = open_.try_emplace(tensor).first;
  }
  Open& open = found->second;
  if (begin > open.bytes || begin + bytes.size() <= open.bytes) return;
  open.hasher.Update(bytes.subspan(open.bytes - begin));
  open.bytes = begin + bytes.size();
  if (open.bytes < checkpoint_.tensor(tensor).info.Bytes()) return;
  const std::string digest = open.hasher.Hex();
  open_.erase(found);
  observer_->OnDigest(tensor, digest);
}

void TensorDigests::AddWhole(size_t tensor) {
  if (observer_ == nullptr) return;
  const uint64_t size = checkpoint_.tensor(tensor).info.Bytes();
  const uint64_t unit = checkpoint_.ReadUnit(tensor);
  const uint64_t step = std::max(unit, kHashedAtOnce / unit * unit);
  std::vector<std::byte> chunk;
  for (uint64_t done = 0; done < size; done += chunk.size()) {
    chunk.resize(std::min(step, size - done));
    checkpoint_.Read(tensor, done, chunk);
    Add(tensor, done, chunk);
  }
}

}  // namespace vernier::checkpoint
