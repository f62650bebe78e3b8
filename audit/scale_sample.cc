#include "audit/scale_sample.h"

#include <algorithm>

#include "base/rounding.h"

namespace vernier::audit {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kLargestPiece = uint64_t{1} << 20;

std::vector<size_t> BlockScaleTensors(const Subject& subject) {
  std::vector<size_t> tensors;
  for (const Module& module : subject.index.modules) {
    const size_t tensor = BlockScalesOf(subject, module);
    if (tensor != kAbsent && subject.Info(tensor).Bytes() > 0) tensors.push_back(tensor);
  }
  return tensors;
}

void AddWhole(size_t tensor, uint64_t bytes, std::vector<TensorPiece>* pieces) {
  for (uint64_t begin = 0; begin < bytes; begin += kLargestPiece) {
    pieces->push_back({tensor, begin, std::min(bytes, begin + kLargestPiece)});
  }
}

// `pages` pages at even distances, the first at the tensor's beginning.
void AddPages(size_t tensor, uint64_t bytes, uint64_t pages, std::vector<TensorPiece>* pieces) {
  const uint64_t all = CeilDivide(bytes, kPageBytes);
  if (pages >= all) return AddWhole(tensor, bytes, pieces);
  for (uint64_t i = 0; i < pages; ++i) {
    const uint64_t begin = i * all / pages * kPageBytes;
    pieces->push_back({tensor, begin, std::min(bytes, begin + kPageBytes)});
  }
}

}  // namespace

size_t BlockScalesOf(const Subject& subject, const Module& module) {
  if (!IsJudged(module.format)) return kAbsent;
  if (!checkpoint::IsNvfp4(module.format)) return module.AnyScale();
  const size_t tensor = module.block_scale;
  const bool readable =
      tensor != kAbsent && subject.Info(tensor).dtype == checkpoint::DType::kF8E4M3;
  return readable ? tensor : kAbsent;
}

uint64_t BlockScaleBytes(const Subject& subject) {
  uint64_t bytes = 0;
  for (const size_t tensor : BlockScaleTensors(subject)) bytes += subject.Info(tensor).Bytes();
  return bytes;
}

std::vector<TensorPiece> SampleBlockScales(const Subject& subject, uint64_t budget) {
  const std::vector<size_t> tensors = BlockScaleTensors(subject);
  std::vector<TensorPiece> pieces;
  if (BlockScaleBytes(subject) <= budget) {
    for (const size_t tensor : tensors) AddWhole(tensor, subject.Info(tensor).Bytes(), &pieces);
    return pieces;
  }
  const uint64_t pages = std::max<uint64_t>(1, budget / kPageBytes);
  const size_t step = CeilDivide(tensors.size(), pages);
  const uint64_t share = std::max<uint64_t>(1, pages / tensors.size());
  for (size_t i = 0; i < tensors.size(); i += step) {
    AddPages(tensors[i], subject.Info(tensors[i]).Bytes(), share, &pieces);
  }
  return pieces;
}

}  // namespace vernier::audit
