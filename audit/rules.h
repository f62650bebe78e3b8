// The groups of rules: each looks at a subject and adds what it finds.
#ifndef VERNIER_AUDIT_RULES_H_
#define VERNIER_AUDIT_RULES_H_

#include <span>
#include <string_view>
#include <vector>

#include "audit/manifest_facts.h"
#include "audit/module_facts.h"
#include "audit/report.h"
#include "audit/scale_readings.h"
#include "audit/subject.h"

namespace vernier::audit {

// All rules that need headers and configurations alone; returns what each engine asked for makes of
// them.
std::vector<EngineVerdict> CheckHeaders(const Subject& subject, const EnginesAsked& engines,
                                        int tensor_parallel, FindingList* findings);

// Dtypes, shapes and presence of scales (V02, V10 for tiny weights, B04). Headers only.
void CheckFormats(const Subject& subject, FindingList* findings);

// Weights that no engine reads in NVFP4 (V10), layers, experts and MTP against config.json (V06,
// V09, C03); of models that are not known as far as names and the usual fields tell. Headers only.
void CheckModel(const Subject& subject, EngineSet engines, FindingList* findings);

// What the audit knows no rule for: weights in formats, and a configuration of a method, that it
// does not judge (J02). Headers only.
void CheckJudged(const Subject& subject, FindingList* findings);

// The quantisation configurations against each other (V13), and what a release's own lists as NVFP4
// against what is stored (V05). Nothing but the index's total_size is checked on a checkpoint as
// released; what engines make of a configuration is SimulateEngines' business.
void CheckConfigs(const Subject& subject, FindingList* findings);

// Groups and layers that overlap or do not compile (V14).
void CheckGroups(const Subject& subject, FindingList* findings);

// Scales of an FP8 key/value cache: names, values and completeness (V07). Reads these few numbers.
void CheckKvCache(const Subject& subject, FindingList* findings);

// The output head and tied embeddings (V04). Reads no more than the ends of a head that is stored
// beside the embedding that it is tied to.
void CheckHead(const Subject& subject, FindingList* findings);

// What the engines expect of a DeepSeek-V4 checkpoint with NVFP4 weights (V15; the release's
// fields only where its formats remain), and of compress_ratios, rope and scale_fmt (C03). Nothing
// on other families.
void CheckDeepseekV4(const Subject& subject, FindingList* findings);

// The scales of single numbers: usable ones, and the same for what engines fuse (V01, V02, V08).
// `scalars` by module.
void CheckScalars(const Subject& subject, std::span<const ModuleScalars> scalars,
                  FindingList* findings);

// Block scales (V02, B01, B02, B03) and stored values (B05), as far as they were read. `facts` by
// module.
void CheckScales(const Subject& subject, std::span<const ModuleFacts> facts, FindingList* findings);
void CheckValues(const Subject& subject, std::span<const ModuleFacts> facts, FindingList* findings);

// What the statistics of input scales hint at: experts far from their neighbours (S01), experts
// that were hardly calibrated (S02; certain with a manifest, guessed without).
void CheckInputScales(const Subject& subject, std::span<const ModuleScalars> scalars,
                      const ManifestFacts& manifest, FindingList* findings);

// What the statistics of blocks hint at: NVFP4 weights that were clipped (S03), and blocks that
// became zero (S04; against a source).
void CheckBlocks(const Subject& subject, std::span<const ModuleFacts> facts, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_RULES_H_
