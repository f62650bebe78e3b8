#include <cstring>
#include <string>
#include <vector>

#include "audit/parallel.h"
#include "audit/rules.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;

constexpr Defect kNotFinite = {"B05", Severity::kError, "stored values are NaN or infinite",
                               "Download or export this tensor again"};

// True for a bit pattern whose exponent bits are all set: Inf or NaN.
template <typename Bits>
int64_t CountAllExponentBits(std::span<const uint8_t> bytes, Bits mask) {
  int64_t count = 0;
  for (size_t i = 0; i < bytes.size(); i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i, sizeof(bits));
    count += (bits & mask) == mask;
  }
  return count;
}

int64_t CountNotFinite(DType dtype, std::span<const uint8_t> bytes) {
  switch (dtype) {
    case DType::kBF16:
      return CountAllExponentBits<uint16_t>(bytes, 0x7F80);
    case DType::kF16:
      return CountAllExponentBits<uint16_t>(bytes, 0x7C00);
    case DType::kF32:
      return CountAllExponentBits<uint32_t>(bytes, 0x7F80'0000);
    case DType::kF8E4M3:
      return CountAllExponentBits<uint8_t>(bytes, 0x7F);  // E4M3 has no infinities: NaN only
    default:
      return 0;
  }
}

bool HasFloats(DType dtype) {
  return dtype == DType::kBF16 || dtype == DType::kF16 || dtype == DType::kF32 ||
         dtype == DType::kF8E4M3;
}

// The weights themselves; scales have rules of their own (V02, B01).
std::vector<size_t> TensorsToRead(const Subject& subject) {
  std::vector<size_t> tensors;
  for (const Module& module : subject.index.modules) {
    if (module.weight != kAbsent && HasFloats(subject.Info(module.weight).dtype)) {
      tensors.push_back(module.weight);
    }
  }
  return tensors;
}

}  // namespace

uint64_t ValueBytes(const Subject& subject) {
  uint64_t bytes = 0;
  for (const size_t tensor : TensorsToRead(subject)) bytes += subject.Info(tensor).Bytes();
  return bytes;
}

void CheckValues(const Subject& subject, ReadMeter* meter, FindingList* findings) {
  const std::vector<size_t> tensors = TensorsToRead(subject);
  const std::vector<int64_t> counts = ParallelMap(tensors.size(), [&](size_t i) {
    int64_t count = 0;
    ForEachChunk(subject.checkpoint, tensors[i], [&](uint64_t, std::span<const uint8_t> bytes) {
      count += CountNotFinite(subject.Info(tensors[i]).dtype, bytes);
      meter->Add(bytes.size());
    });
    return count;
  });
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (counts[i] == 0) continue;
    findings->Add(kNotFinite,
                  subject.Info(tensors[i]).name + " (" + std::to_string(counts[i]) + " of them)");
  }
}

}  // namespace vernier::audit
