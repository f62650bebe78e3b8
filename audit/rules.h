// The groups of rules: each looks at a subject and adds what it finds.
#ifndef VERNIER_AUDIT_RULES_H_
#define VERNIER_AUDIT_RULES_H_

#include <cstdint>

#include "audit/read_meter.h"
#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

// Dtypes, shapes and presence of scales (V02, V10 for tiny weights, B04). Headers only.
void CheckFormats(const Subject& subject, FindingList* findings);

// Weights that no engine reads in NVFP4 (V10); for models that are known also layers, experts and
// MTP against config.json (V06, V09, C03). Headers only.
void CheckModel(const Subject& subject, FindingList* findings);

// The quantisation configurations against each other and against what is stored (V05, V13), by
// dialect. Nothing but the index's total_size is checked on a native checkpoint.
void CheckConfigs(const Subject& subject, FindingList* findings);

// What the engines expect of a DeepSeek-V4 checkpoint with NVFP4 weights (V03, V15; the release's
// fields only where its formats remain), and of compress_ratios (C03). Nothing on other families.
void CheckDeepseekV4(const Subject& subject, FindingList* findings);

// The bytes of every scale (V01, V02, V08, B01, B02, B03). Reads scales, and nibbles below zero
// scales only. `meter` counts the bytes of scales.
void CheckScales(const Subject& subject, ReadMeter* meter, FindingList* findings);
uint64_t ScaleBytes(const Subject& subject);

// NaN and infinities among all stored values (B05). Reads every FP8 and floating-point tensor.
void CheckValues(const Subject& subject, ReadMeter* meter, FindingList* findings);
uint64_t ValueBytes(const Subject& subject);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_RULES_H_
