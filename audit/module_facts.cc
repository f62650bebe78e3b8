#include "audit/module_facts.h"

namespace vernier::audit {

void ScaleFacts::Merge(const ScaleFacts& other) {
  bytes += other.bytes;
  nan_or_negative += other.nan_or_negative;
  lost_blocks += other.lost_blocks;
  e8m0_nan += other.e8m0_nan;
  bad_values += other.bad_values;
  blocks.Merge(other.blocks);
}

void SourceFacts::Merge(const SourceFacts& other) {
  error.Merge(other.error);
  clipped += other.clipped;
  source_zero_blocks += other.source_zero_blocks;
  if (failure.empty()) failure = other.failure;
}

void SourceFacts::Finish() {
  if (!failure.empty()) {
    *this = {.failure = failure};
    return;
  }
  error.weights = 1;
  error.exact = error.squared_error == 0 ? 1 : 0;
}

void ModuleFacts::Merge(const ModuleFacts& other) {
  not_finite += other.not_finite;
  scales.Merge(other.scales);
  changed.insert(other.changed.begin(), other.changed.end());
  if (!other.source) return;
  if (!source) source.emplace();
  source->Merge(*other.source);
}

}  // namespace vernier::audit
