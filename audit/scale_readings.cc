#include "audit/scale_readings.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "audit/byte_scan.h"
#include "audit/scale_sample.h"

namespace vernier::audit {
namespace {

using checkpoint::TensorInfo;

// Scales whose zeros are looked up in the weight at a time.
constexpr size_t kScalesAtATime = 4096;

// The nibbles below zero scales among `scales`, which begin at scale `first` of the module.
int64_t FindLostBlocks(const Subject& subject, const Module& module, uint64_t first,
                       std::span<const std::byte> scales) {
  const auto begin = std::find(scales.begin(), scales.end(), std::byte{0});
  if (begin == scales.end()) return 0;
  const auto end = std::find(scales.rbegin(), scales.rend(), std::byte{0}).base();
  const std::span<const std::byte> zeros(begin, end);
  std::vector<std::byte> nibbles(zeros.size() * kNibbleBytesPerScale);
  const uint64_t place = first + static_cast<uint64_t>(begin - scales.begin());
  subject.checkpoint.Read(module.weight, place * kNibbleBytesPerScale, nibbles);
  return CountLostBlocks(zeros, nibbles);
}

ScaleFacts ReadPiece(const Subject& subject, const Module& module, uint64_t first,
                     std::span<const std::byte> scales) {
  ScaleFacts facts = ScanModuleScales(subject, module, scales);
  if (!BlocksAgree(subject, module)) return facts;
  for (size_t i = 0; i < scales.size(); i += kScalesAtATime) {
    const size_t count = std::min(kScalesAtATime, scales.size() - i);
    facts.lost_blocks += FindLostBlocks(subject, module, first + i, scales.subspan(i, count));
  }
  return facts;
}

}  // namespace

bool IsScalar(const TensorInfo& info) {
  const size_t size = FloatSize(info.dtype);
  return size != 0 && info.Bytes() == size;
}

std::vector<TensorPiece> ScalarPieces(const Subject& subject) {
  std::vector<TensorPiece> pieces;
  for (const Module& module : subject.index.modules) {
    for (const size_t tensor : {module.global_scale, module.input_scale}) {
      if (tensor == kAbsent || !IsScalar(subject.Info(tensor))) continue;
      pieces.push_back({tensor, 0, subject.Info(tensor).Bytes()});
    }
  }
  return pieces;
}

bool BlocksAgree(const Subject& subject, const Module& module) {
  if (module.format != formats::kNvfp4) return false;
  const size_t scales = BlockScalesOf(subject, module);
  return scales != kAbsent &&
         subject.Info(module.weight).Bytes() == subject.Info(scales).Bytes() * kNibbleBytesPerScale;
}

ScaleFacts ScanModuleScales(const Subject& subject, const Module& module,
                            std::span<const std::byte> scales) {
  if (checkpoint::IsNvfp4(module.format)) return ScanE4m3Scales(scales);
  return ScanScales(subject.Info(BlockScalesOf(subject, module)).dtype, scales);
}

ScaleReadings ReadScales(const Subject& subject, std::vector<TensorPiece> pieces,
                         const std::function<void(uint64_t)>& on_read) {
  ScaleReadings readings;
  readings.scalars.resize(subject.index.modules.size());
  readings.facts.resize(subject.index.modules.size());
  ForEachPiece(
      subject.checkpoint, std::move(pieces),
      [&](const TensorPiece& piece, std::span<const std::byte> bytes) {
        const size_t index = subject.index.module_of_tensor[piece.tensor];
        const Module& module = subject.index.modules[index];
        ModuleScalars& scalars = readings.scalars[index];
        const checkpoint::DType dtype = subject.Info(piece.tensor).dtype;
        if (piece.tensor == module.global_scale) {
          scalars.global_scale = FloatAt(dtype, bytes.data());
        } else if (piece.tensor == module.input_scale) {
          scalars.input_scale = FloatAt(dtype, bytes.data());
        } else {
          readings.facts[index].scales.Merge(ReadPiece(subject, module, piece.begin, bytes));
        }
        on_read(bytes.size());
      });
  return readings;
}

}  // namespace vernier::audit
