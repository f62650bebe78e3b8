// Counts what is wrong or remarkable among stored bytes, at about the speed of memory.
#ifndef VERNIER_AUDIT_BYTE_SCAN_H_
#define VERNIER_AUDIT_BYTE_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "audit/module_facts.h"
#include "checkpoint/dtype.h"

namespace vernier::audit {

// Finite and above zero.
bool IsUsableScale(float scale);

// Bytes of one number; 0 where the dtype is none that float scales have (F32, BF16, F16).
size_t FloatSize(checkpoint::DType dtype);
// One number of such a dtype, at any alignment.
float FloatAt(checkpoint::DType dtype, const std::byte* bytes);

// NaN and infinities among numbers of a float or FP8 dtype; 0 for any other.
int64_t CountNotFinite(checkpoint::DType dtype, std::span<const std::byte> bytes);
bool HasFloats(checkpoint::DType dtype);

// Scales of NVFP4 blocks, E4M3.
ScaleFacts ScanE4m3Scales(std::span<const std::byte> scales);
// The same, and what the nibbles below them say: nibbles holds 8 bytes for each scale.
ScaleFacts ScanBlocks(std::span<const std::byte> scales, std::span<const std::byte> nibbles);
// Blocks of scale zero with a value that is not.
int64_t CountLostBlocks(std::span<const std::byte> scales, std::span<const std::byte> nibbles);

// Scales of the other formats: E8M0 (or U8) or numbers.
ScaleFacts ScanScales(checkpoint::DType dtype, std::span<const std::byte> scales);

// Bytes of nibbles below one E4M3 scale.
inline constexpr uint64_t kNibbleBytesPerScale = 8;

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_BYTE_SCAN_H_
