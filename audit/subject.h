// What the rules look at: an opened checkpoint, its modules and its configurations.
#ifndef VERNIER_AUDIT_SUBJECT_H_
#define VERNIER_AUDIT_SUBJECT_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "audit/modules.h"
#include "audit/quant_config.h"
#include "audit/report.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"

namespace vernier::audit {

// Whose conventions the quantised weights follow.
enum class QuantDialect {
  kNative,  // the release's own, or nobody's: nothing is quantised
  kModelopt,
  kCompressedTensors,
};
std::string_view QuantDialectName(QuantDialect dialect);  // "modelopt"

struct Subject {
  checkpoint::Checkpoint checkpoint;
  std::unique_ptr<checkpoint::Family> family;
  ModuleIndex index;
  QuantConfig inline_config;  // config.json
  QuantConfig file_config;    // hf_quant_config.json
  QuantDialect dialect = QuantDialect::kNative;

  const checkpoint::TensorInfo& Info(size_t tensor) const { return checkpoint.tensor(tensor).info; }
  // The configuration that engines act on: config.json's, else hf_quant_config.json.
  const QuantConfig& Config() const { return inline_config.present ? inline_config : file_config; }
  int64_t CountFormat(StoredFormat format) const;
  bool StacksExperts(const Module& module) const {
    return audit::StacksExperts(checkpoint, module);
  }
  // Anything is NVFP4, or is said to be: the rules for NVFP4 checkpoints apply.
  bool IsNvfp4() const;
  // The rules for a model that is known apply: its layers, experts and shapes.
  bool KnowsModel() const { return !family->guessed(); }
  // Engines read its quantisation with code of their own for it.
  bool IsDeepseekV4() const {
    return family->Facts().engine_code == checkpoint::EngineCode::kDeepseekV4;
  }
};

// Opens a checkpoint of any model. A defect of its files that stops the audit (a malformed header
// or index, a truncated shard, an impossible config.json) becomes a finding and the result is
// empty. Throws what prevents looking at all: kNoCheckpoint, kFileOpen, kFileRead.
//
// Stacks of experts that are `split` (Checkpoint::SplitStacks) are judged expert by expert; without
// it none is: what an engine loads is judged as it is stored.
std::optional<Subject> OpenSubject(const std::filesystem::path& directory, FindingList* findings,
                                   const checkpoint::Checkpoint::WantedStack& split = {});

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_SUBJECT_H_
