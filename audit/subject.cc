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

// A checkpoint of which only some weights were converted still follows its release.
QuantDialect DialectOf(const ModuleIndex& index, const QuantConfig& inline_config,
                       const QuantConfig& file_config) {
  if (inline_config.IsCompressedTensors()) return QuantDialect::kCompressedTensors;
  const bool has_native_weights =
      std::any_of(index.modules.begin(), index.modules.end(), [](const Module& module) {
        return IsQuantised(module.format) && module.format != formats::kNvfp4 &&
               module.NativeScale() != kAbsent;
      });
  const bool is_modelopt = inline_config.present ? inline_config.IsModelopt() : file_config.present;
  return is_modelopt && !has_native_weights ? QuantDialect::kModelopt : QuantDialect::kNative;
}

Subject Open(const std::filesystem::path& directory,
             const checkpoint::Checkpoint::WantedStack& split) {
  checkpoint::Checkpoint checkpoint = checkpoint::Checkpoint::Open(directory);
  std::unique_ptr<checkpoint::Family> family = checkpoint::MakeAnyFamily(checkpoint.config());
  if (split) checkpoint.SplitStacks(family->Stacks(), split);
  ModuleIndex index = IndexModules(checkpoint, *family);
  QuantConfig inline_config = ReadInlineQuantConfig(checkpoint.config());
  QuantConfig file_config = ReadQuantConfigFile(directory);
  const QuantDialect dialect = DialectOf(index, inline_config, file_config);
  return {std::move(checkpoint),    std::move(family),      std::move(index),
          std::move(inline_config), std::move(file_config), dialect};
}

}  // namespace

std::string_view QuantDialectName(QuantDialect dialect) {
  switch (dialect) {
    case QuantDialect::kNative:
      return "native";
    case QuantDialect::kModelopt:
      return kModelopt;
    case QuantDialect::kCompressedTensors:
      break;
  }
  return kCompressedTensors;
}

int64_t Subject::CountFormat(StoredFormat format) const {
  return std::count_if(index.modules.begin(), index.modules.end(),
                       [format](const Module& module) { return module.format == format; });
}

bool Subject::IsNvfp4() const {
  return inline_config.MentionsNvfp4() || file_config.MentionsNvfp4() ||
         CountFormat(formats::kNvfp4) + CountFormat(formats::kStackedNvfp4) > 0;
}

std::optional<Subject> OpenSubject(const std::filesystem::path& directory, FindingList* findings,
                                   const checkpoint::Checkpoint::WantedStack& split) {
  try {
    return Open(directory, split);
  } catch (const Error& error) {
    const std::optional<Defect> defect = DefectOf(error.code());
    if (!defect) throw;
    findings->Add(*defect, error.what());
    return std::nullopt;
  }
}

}  // namespace vernier::audit
