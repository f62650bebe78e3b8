#include "base/json.h"

#include "base/file.h"

namespace vernier {

Json ParseJson(std::string_view text, std::string_view origin, JsonComments comments) {
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

Json ReadJsonFile(const std::filesystem::path& path, JsonComments comments) {
  return ParseJson(ReadWholeFile(path), path.string(), comments);
}

}  // namespace vernier
