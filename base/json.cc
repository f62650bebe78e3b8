#include "base/json.h"

#include <algorithm>

#include "base/file.h"

namespace vernier {
namespace {

// The most levels of any published file are below 20. Copying, comparing and printing a value call
// themselves for each level, so that an unlimited depth would exhaust the stack.
constexpr int kMaxDepth = 256;

bool NestsDeeper(const Json& value, int levels) {
  if (!value.is_structured()) return false;
  if (levels == 0) return true;
  return std::any_of(value.begin(), value.end(),
                     [=](const Json& part) { return NestsDeeper(part, levels - 1); });
}

Json ParseAnyDepth(std::string_view text, std::string_view origin, JsonComments comments) {
  try {
    return Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/true,
                       /*ignore_comments=*/comments == JsonComments::kAllow);
  } catch (const nlohmann::json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 3, column 5: ..." without its tag.
    std::string_view reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string_view::npos) {
      reason.remove_prefix(end + 2);
    }
    throw Error(ErrorCode::kBadJson, origin, reason, "Correct the file");
  }
}

}  // namespace

Json ParseJson(std::string_view text, std::string_view origin, JsonComments comments) {
  Json value = ParseAnyDepth(text, origin, comments);
  if (!NestsDeeper(value, kMaxDepth)) return value;
  throw Error(ErrorCode::kBadJson, origin,
              "values nest more than " + std::to_string(kMaxDepth) + " deep", "Correct the file");
}

Json ReadJsonFile(const std::filesystem::path& path, JsonComments comments) {
  return ParseJson(ReadWholeFile(path), path.string(), comments);
}

}  // namespace vernier
