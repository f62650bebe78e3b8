// Reads every byte of a checkpoint, and of what it is compared with, once.
#ifndef VERNIER_AUDIT_STREAM_H_
#define VERNIER_AUDIT_STREAM_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "audit/comparison.h"
#include "audit/module_facts.h"
#include "audit/read_meter.h"
#include "audit/scale_readings.h"
#include "audit/subject.h"

namespace vernier::audit {

// Facts by module; nothing for modules that are not known yet.
using KnownFacts = std::vector<std::optional<ModuleFacts>>;
// Called with a module's index and complete facts, one call at a time.
using OnModule = std::function<void(size_t, const ModuleFacts&)>;

// All facts of all modules: those of `known` as they are, the others from one reading in the order
// of the checkpoint's files, on all cores, ahead of use. `comparison` may be null; `scalars` are by
// module. The result does not depend on the number of threads, nor on what was known. Memory:
// `window_bytes` read ahead, at most 48 jobs of 4 MiB or one per core, half as much in spare
// buffers, and the facts. Where experts are stacked transposed a job is an expert's slab: besides
// as many as there is room for instead, one, another that is read ahead, and of what is copied 4
// MiB a core. Errors: kFileOpen, kFileRead, kInterrupted, and what on_module throws.
std::vector<ModuleFacts> StreamFacts(const Subject& subject, const Comparison* comparison,
                                     std::span<const ModuleScalars> scalars, KnownFacts known,
                                     const OnModule& on_module, uint64_t window_bytes,
                                     ReadMeter* meter);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_STREAM_H_
