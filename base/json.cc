#include "base/json.h"

#include <algorithm>

#include "base/file.h"
#include "base/json_error.h"

namespace vernier {
namespace {

Json ParseAnyDepth(std::string_view text, std::string_view origin, JsonComments comments) {
  try {
    return Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/true,
                       /*ignore_comments=*/comments == JsonComments::kAllow);
  } catch (const nlohmann::json::exception& error) {
    ThrowBadJson(origin, error);
  }
}

}  // namespace

bool NestsDeeper(const Json& value, int levels) {
  if (!value.is_structured()) return false;
  if (levels == 0) return true;
  return std::any_of(value.begin(), value.end(),
                     [=](const Json& part) { return NestsDeeper(part, levels - 1); });
}

Json ParseJson(std::string_view text, std::string_view origin, JsonComments comments) {
  Json value = ParseAnyDepth(text, origin, comments);
  if (NestsDeeper(value, kMaxJsonDepth)) ThrowJsonTooDeep(origin);
  return value;
}

Json ReadJsonFile(const std::filesystem::path& path, JsonComments comments) {
  return ParseJson(ReadWholeFile(path), path.string(), comments);
}

}  // namespace vernier
