#include "tests/audit/corpus.h"

#include "tests/audit/hf_nvfp4_model.h"

namespace vernier::audit {

ModelFiles MakeBase(Base base) {
  static const ModelFiles deepseek_v4 = MakeNvfp4Model(MakeNativeModel());
  static const ModelFiles deepseek_v4_mtp = MakeNvfp4Model(MakeNativeModel(/*mtp_layers=*/1));
  switch (base) {
    case Base::kDeepseekV4:
      return deepseek_v4;
    case Base::kDeepseekV4Mtp:
      return deepseek_v4_mtp;
    case Base::kLlama:
      return MakeLlamaNvfp4(QuantDialect::kModelopt);
    case Base::kQwenMoe:
      return MakeQwenMoeNvfp4();
    case Base::kCompressedLlama:
      break;
  }
  return MakeLlamaNvfp4(QuantDialect::kCompressedTensors);
}

Rules RulesOfBase(Base base) { return base == Base::kDeepseekV4Mtp ? Rules{"V03"} : Rules{}; }

void PrintTo(const DefectCase& defect, std::ostream* stream) { *stream << defect.name; }

std::vector<DefectCase> JoinCases(const std::vector<std::vector<DefectCase>>& lists) {
  std::vector<DefectCase> all;
  for (const std::vector<DefectCase>& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::vector<DefectCase> Corpus() {
  return JoinCases({DeepseekV4Defects(), HuggingFaceDefects(), SourceDefects()});
}

}  // namespace vernier::audit
