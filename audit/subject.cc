#include "audit/subject.h"

#include <algorithm>

#include "base/error.h"

namespace vernier::audit {
namespace {

constexpr std::string_view kDownloadAgain =
    "Write or download the named file again; nothing else was checked";

std::optional<Defect> DefectOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBadIndex:
      return Defect{"V13", Severity::kError, "the shard index and the shards disagree",
                    kDownloadAgain};
    case ErrorCode::kBadHeader:
    case ErrorCode::kTruncated:
      return Defect{"B04", Severity::kError, "a shard is malformed or cut short", kDownloadAgain};
    case ErrorCode::kBadConfig:
      return Defect{"C03", Severity::kError, "config.json does not describe a model",
                    "Restore the fields of the model's own config.json; nothing else was checked"};
    case ErrorCode::kBadJson:
      return Defect{"V13", Severity::kError, "a configuration file is not readable JSON",
                    kDownloadAgain};
    default:
      return std::nullopt;
  }
}

Subject Open(const std::filesystem::path& directory) {
  checkpoint::Checkpoint checkpoint = checkpoint::Checkpoint::Open(directory);
  std::unique_ptr<checkpoint::Family> family = checkpoint::MakeFamily(checkpoint.config());
  ModuleIndex index = IndexModules(checkpoint, *family);
  QuantConfig inline_config = ReadInlineQuantConfig(checkpoint.config());
  QuantConfig file_config = ReadQuantConfigFile(directory);
  return {std::move(checkpoint), std::move(family), std::move(index), std::move(inline_config),
          std::move(file_config)};
}

}  // namespace

int64_t Subject::CountFormat(StoredFormat format) const {
  return std::count_if(index.modules.begin(), index.modules.end(),
                       [format](const Module& module) { return module.format == format; });
}

bool Subject::IsNvfp4() const {
  return inline_config.MentionsNvfp4() || file_config.MentionsNvfp4() ||
         CountFormat(StoredFormat::kNvfp4) > 0;
}

std::optional<Subject> OpenSubject(const std::filesystem::path& directory, FindingList* findings) {
  try {
    return Open(directory);
  } catch (const Error& error) {
    const std::optional<Defect> defect = DefectOf(error.code());
    if (!defect) throw;
    findings->Add(*defect, error.what());
    return std::nullopt;
  }
}

}  // namespace vernier::audit
