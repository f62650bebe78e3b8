// A source and what of a checkpoint is to be compared with it.
#ifndef VERNIER_AUDIT_COMPARISON_H_
#define VERNIER_AUDIT_COMPARISON_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/manifest_facts.h"
#include "audit/report.h"
#include "audit/source_rules.h"
#include "audit/subject.h"
#include "checkpoint/model_layout.h"

namespace vernier::audit {

// A converted weight and what it was made from, as indices into the layouts' weights. In a stack of
// experts it is one of their matrices.
struct WeightPair {
  size_t own = 0;
  size_t source = 0;
};

struct Comparison {
  Subject source;
  SourceMatch match;
  std::vector<size_t> carried_from = {};  // by tensor: the source's, kAbsent where none is carried
  // The checkpoint with those stacks taken apart whose experts are compared one by one, where there
  // are any: what it stores has the same indices as in the subject.
  std::optional<checkpoint::Checkpoint> taken_apart = {};
  checkpoint::ModelLayout layout = {};  // of it, or of the subject
  checkpoint::ModelLayout source_layout = {};
  // By module: the converted weights to compare, one or those of a stack.
  std::unordered_map<size_t, std::vector<WeightPair>> pairs = {};
  Rescalings rescalings = {};  // by name of the module

  // What `layout` is of.
  const checkpoint::Checkpoint& Own(const Subject& subject) const {
    return taken_apart ? *taken_apart : subject.checkpoint;
  }
  // What became of the source's values before they were stored.
  const checkpoint::Rescaling& RescalingOf(const std::string& module) const;
};

// Opens the source and matches it with the checkpoint (C01, C02), whose manifest is given. Nothing,
// and a finding, when the source cannot be opened; throws as OpenSubject does. A defect of one
// weight, here or there, keeps no other from being compared. Experts that are stacked on either
// side are compared one by one, but where both store the same stack.
std::optional<Comparison> OpenComparison(const Subject& subject,
                                         const std::filesystem::path& directory,
                                         const ManifestFacts& manifest, FindingList* findings);

// Dimensions against config.json (C03), with the reader that calibration and export use. Only where
// formats are right: the rules say more than the reader's first complaint.
void CheckReadable(const Subject& subject, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_COMPARISON_H_
