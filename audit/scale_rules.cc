#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/parallel.h"
#include "audit/rules.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using checkpoint::TensorInfo;

constexpr Defect kBadScale = {"V02", Severity::kError, "a scale is not a finite number above zero",
                              "Calibrate again, or give the weight a fallback scale"};
constexpr Defect kNanBlockScale = {"B01", Severity::kError, "block scales are NaN or negative",
                                   "Export this weight again"};
constexpr Defect kZeroBlockScale = {"B02", Severity::kError,
                                    "a block with values has the scale zero",
                                    "Export this weight again: these values are lost"};
constexpr Defect kNanE8m0 = {"B03", Severity::kError, "E8M0 scales are NaN (byte 0xFF)",
                             "Download or export this weight again"};
constexpr Defect kExpertScales = {
    "V01", Severity::kError, "the fused projections of an expert have different scales",
    "Export with one global scale and one input scale per group: engines use only the first"};
constexpr Defect kFusedScales = {
    "V08", Severity::kError, "weights that engines fuse have different scales or formats",
    "Quantise the group alike, with one global scale and one input scale"};

constexpr uint8_t kE4m3Nan = 0x7F;
constexpr uint8_t kE8m0Nan = 0xFF;
constexpr uint8_t kMagnitudeBits = 0x77;  // of two nibbles, without their signs
constexpr size_t kBytesPerBlock = quantizers::kNvfp4BlockSize / 2;

// What the scales of one module say.
struct ScaleFacts {
  int64_t nan_or_negative = 0;  // E4M3 block scales
  int64_t lost_blocks = 0;      // zero scale, non-zero nibbles
  int64_t e8m0_nan = 0;
  int64_t bad_values = 0;  // F32, BF16 and F16 scales
  std::optional<float> global_scale;
  std::optional<float> input_scale;
};

bool IsUsable(float scale) { return std::isfinite(scale) && scale > 0; }

// Bytes of one number; 0 where the dtype is none that float scales have.
size_t FloatSize(DType dtype) {
  if (dtype == DType::kF32) return sizeof(float);
  return dtype == DType::kBF16 || dtype == DType::kF16 ? sizeof(uint16_t) : 0;
}

float FloatAt(DType dtype, const uint8_t* bytes) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return dtype == DType::kBF16 ? quantizers::Bf16ToFloat(bits) : quantizers::F16ToFloat(bits);
}

class ScaleReader {
 public:
  explicit ScaleReader(const Subject& subject) : subject_(subject) {}

  ScaleFacts Read(const Module& module) const {
    ScaleFacts facts;
    facts.global_scale = ReadScalar(module.global_scale);
    facts.input_scale = ReadScalar(module.input_scale);
    if (module.format == StoredFormat::kNvfp4) {
      ReadE4m3(module, &facts);
    } else if (module.AnyScale() != kAbsent) {
      ReadScale(module.AnyScale(), &facts);
    }
    return facts;
  }

 private:
  const checkpoint::Checkpoint& File() const { return subject_.checkpoint; }

  std::optional<float> ReadScalar(size_t tensor) const {
    if (tensor == kAbsent) return std::nullopt;
    const TensorInfo& info = subject_.Info(tensor);
    const size_t size = FloatSize(info.dtype);
    if (size == 0 || info.Bytes() != size) return std::nullopt;
    uint8_t bytes[sizeof(float)];
    File().Read(tensor, 0, std::as_writable_bytes(std::span(bytes, size)));
    return FloatAt(info.dtype, bytes);
  }

  void ReadE4m3(const Module& module, ScaleFacts* facts) const {
    if (module.block_scale == kAbsent) return;
    const TensorInfo& info = subject_.Info(module.block_scale);
    if (info.dtype != DType::kF8E4M3) return;
    const bool shapes_agree = subject_.Info(module.weight).Bytes() == info.Bytes() * kBytesPerBlock;
    ForEachChunk(File(), module.block_scale, [&](uint64_t offset, std::span<const uint8_t> bytes) {
      for (size_t i = 0; i < bytes.size(); ++i) {
        facts->nan_or_negative += bytes[i] >= kE4m3Nan;
        if (bytes[i] == 0 && shapes_agree) {
          facts->lost_blocks += HasValues(module.weight, offset + i);
        }
      }
    });
  }

  bool HasValues(size_t weight, uint64_t block) const {
    uint8_t nibbles[kBytesPerBlock];
    File().Read(weight, block * kBytesPerBlock, std::as_writable_bytes(std::span(nibbles)));
    return std::any_of(std::begin(nibbles), std::end(nibbles),
                       [](uint8_t byte) { return (byte & kMagnitudeBits) != 0; });
  }

  void ReadScale(size_t scale, ScaleFacts* facts) const {
    const DType dtype = subject_.Info(scale).dtype;
    ForEachChunk(File(), scale, [&](uint64_t, std::span<const uint8_t> bytes) {
      if (dtype == DType::kF8E8M0 || dtype == DType::kU8) {
        facts->e8m0_nan += std::count(bytes.begin(), bytes.end(), kE8m0Nan);
      }
      const size_t size = FloatSize(dtype);
      if (size == 0) return;
      for (size_t i = 0; i < bytes.size(); i += size) {
        facts->bad_values += !IsUsable(FloatAt(dtype, bytes.data() + i));
      }
    });
  }

  const Subject& subject_;
};

std::string Counted(std::string_view name, int64_t count) {
  return std::string(name) + " (" + std::to_string(count) + " of them)";
}

void ReportScalar(const Subject& subject, const std::optional<float>& value, size_t tensor,
                  FindingList* findings) {
  if (value && !IsUsable(*value)) {
    findings->Add(kBadScale, subject.Info(tensor).name + " (" + std::to_string(*value) + ")");
  }
}

void ReportModule(const Subject& subject, const Module& module, const ScaleFacts& facts,
                  FindingList* findings) {
  ReportScalar(subject, facts.global_scale, module.global_scale, findings);
  ReportScalar(subject, facts.input_scale, module.input_scale, findings);
  if (facts.nan_or_negative > 0) {
    findings->Add(kNanBlockScale, Counted(module.name + ".weight_scale", facts.nan_or_negative));
  }
  if (facts.lost_blocks > 0) {
    findings->Add(kZeroBlockScale, Counted(module.name + ".weight_scale", facts.lost_blocks));
  }
  if (facts.e8m0_nan > 0) {
    findings->Add(kNanE8m0, Counted(subject.Info(module.AnyScale()).name, facts.e8m0_nan));
  }
  if (facts.bad_values > 0) {
    findings->Add(kBadScale, Counted(subject.Info(module.AnyScale()).name, facts.bad_values));
  }
}

// Bit patterns: engines compare and fuse the stored numbers.
bool SameBits(const std::optional<float>& a, const std::optional<float>& b) {
  if (!a || !b) return true;  // V02 reports what is missing
  return std::bit_cast<uint32_t>(*a) == std::bit_cast<uint32_t>(*b);
}

uint64_t ScaleBytes(const Subject& subject, const Module& module) {
  uint64_t bytes = 0;
  for (const size_t tensor : {module.scale, module.scale_inv, module.block_scale}) {
    if (tensor != kAbsent) bytes += subject.Info(tensor).Bytes();
  }
  return bytes;
}

struct GroupMember {
  const Module* module;
  const ScaleFacts* facts;
};

void CheckGroup(const std::vector<GroupMember>& members, FindingList* findings) {
  const GroupMember& first = members.front();
  const bool is_expert = first.module->meaning.expert >= 0;
  for (const GroupMember& member : members) {
    const bool first_quantised = first.module->format == StoredFormat::kNvfp4;
    const bool quantised = member.module->format == StoredFormat::kNvfp4;
    const std::string pair = first.module->name + " and " + member.module->name;
    if (first_quantised != quantised && !is_expert) findings->Add(kFusedScales, pair + " (format)");
    const Defect& defect = is_expert ? kExpertScales : kFusedScales;
    if (!SameBits(first.facts->global_scale, member.facts->global_scale)) {
      findings->Add(defect, pair + " (global scale)");
    }
    if (!SameBits(first.facts->input_scale, member.facts->input_scale)) {
      findings->Add(defect, pair + " (input scale)");
    }
  }
}

}  // namespace

uint64_t ScaleBytes(const Subject& subject) {
  uint64_t bytes = 0;
  for (const Module& module : subject.index.modules) bytes += ScaleBytes(subject, module);
  return bytes;
}

void CheckScales(const Subject& subject, ReadMeter* meter, FindingList* findings) {
  const std::vector<Module>& modules = subject.index.modules;
  const ScaleReader reader(subject);
  const std::vector<ScaleFacts> facts = ParallelMap(modules.size(), [&](size_t i) {
    ScaleFacts result = reader.Read(modules[i]);
    meter->Add(ScaleBytes(subject, modules[i]));
    return result;
  });
  std::map<std::string, std::vector<GroupMember>> groups;
  for (size_t i = 0; i < modules.size(); ++i) {
    ReportModule(subject, modules[i], facts[i], findings);
    if (!modules[i].meaning.fused_group.empty() && modules[i].weight != kAbsent) {
      groups[modules[i].meaning.fused_group].push_back({&modules[i], &facts[i]});
    }
  }
  for (const auto& [name, members] : groups) CheckGroup(members, findings);
}

}  // namespace vernier::audit
