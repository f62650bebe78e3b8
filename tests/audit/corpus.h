// Broken checkpoints, each made from a clean one by one corruption, and the rules that must fire.
#ifndef VERNIER_TESTS_AUDIT_CORPUS_H_
#define VERNIER_TESTS_AUDIT_CORPUS_H_

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "audit/report.h"
#include "tests/audit/nvfp4_model.h"

namespace vernier::audit {

using Rules = std::set<std::string>;

// The clean twins.
enum class Base {
  kDeepseekV4,     // NVFP4 experts beside FP8, as NVIDIA publishes it
  kDeepseekV4Mtp,  // the same with an MTP layer: V03 fires, rightly
  kLlama,          // modelopt, NVFP4 everywhere but in the head, FP8 key/value cache
  kQwenMoe,        // modelopt, NVFP4 experts, BF16 routers
  kCompressedLlama,
};
inline constexpr Base kBases[] = {Base::kDeepseekV4, Base::kDeepseekV4Mtp, Base::kLlama,
                                  Base::kQwenMoe, Base::kCompressedLlama};
ModelFiles MakeBase(Base base);
// What fires on the clean twin itself.
Rules RulesOfBase(Base base);

struct DefectCase {
  std::string name;
  std::function<void(ModelFiles&)> corrupt;
  Rules rules;  // exactly these fire
  Base base = Base::kDeepseekV4;
  AuditDepth depth = AuditDepth::kScales;
  // Compared with the clean twin's source, of Base::kDeepseekV4.
  bool against_source = false;
  int tensor_parallel = 1;
};

void PrintTo(const DefectCase& defect, std::ostream* stream);
std::vector<DefectCase> JoinCases(const std::vector<std::vector<DefectCase>>& lists);

std::vector<DefectCase> DeepseekV4Defects();
std::vector<DefectCase> HuggingFaceDefects();
std::vector<DefectCase> SourceDefects();
std::vector<DefectCase> Corpus();  // all of them

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_CORPUS_H_
