// Which block scales are looked at when not everything is read.
#ifndef VERNIER_AUDIT_SCALE_SAMPLE_H_
#define VERNIER_AUDIT_SCALE_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "audit/batched_reads.h"
#include "audit/subject.h"

namespace vernier::audit {

// Block scales are an eighth of NVFP4's bytes: 100 GB of a model with 1.6 T weights. Up to here
// they are read whole, and otherwise so much of them is.
inline constexpr uint64_t kScaleSampleBytes = uint64_t{256} << 20;

// The tensor with the scales of a module's blocks, rows or all of it; kAbsent where there is none,
// or one that is no E4M3 tensor beside an NVFP4 weight.
size_t BlockScalesOf(const Subject& subject, const Module& module);
uint64_t BlockScaleBytes(const Subject& subject);  // of all modules

// All block scales when they are at most `budget` bytes. Otherwise an equal share of the budget for
// each tensor: its first 4 KiB and as many more at even distances as fit; where not even 4 KiB fit,
// every second, third ... tensor gets its first 4 KiB. Tensors smaller than their share are whole.
// A piece has at most a MiB.
std::vector<TensorPiece> SampleBlockScales(const Subject& subject,
                                           uint64_t budget = kScaleSampleBytes);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_SCALE_SAMPLE_H_
