// The scales of a checkpoint, read without its weights.
#ifndef VERNIER_AUDIT_SCALE_READINGS_H_
#define VERNIER_AUDIT_SCALE_READINGS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "audit/batched_reads.h"
#include "audit/module_facts.h"
#include "audit/subject.h"

namespace vernier::audit {

// A module's scales of a single number; nothing where one is absent or no single number.
struct ModuleScalars {
  std::optional<float> global_scale;
  std::optional<float> input_scale;
};

struct ScaleReadings {
  std::vector<ModuleScalars> scalars;  // by module
  std::vector<ModuleFacts> facts;      // by module: of the block scales that were read
};

// A single F32, BF16 or F16 number.
bool IsScalar(const checkpoint::TensorInfo& info);

// The tensors with those numbers.
std::vector<TensorPiece> ScalarPieces(const Subject& subject);

// Reads `pieces`, which are scalars and parts of block scales, and 8 bytes of nibbles below each
// zero scale among them. on_read gets the bytes of every piece.
ScaleReadings ReadScales(const Subject& subject, std::vector<TensorPiece> pieces,
                         const std::function<void(uint64_t)>& on_read);

// Whether an NVFP4 weight has 16 values below each scale, so that both can be looked at together.
bool BlocksAgree(const Subject& subject, const Module& module);

// What scales of `module`, some bytes of BlockScalesOf, say by themselves.
ScaleFacts ScanModuleScales(const Subject& subject, const Module& module,
                            std::span<const std::byte> scales);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_SCALE_READINGS_H_
