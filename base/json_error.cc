#include "base/json_error.h"

#include <string>

#include "base/error.h"

namespace vernier {

void ThrowBadJson(std::string_view origin, const nlohmann::json::exception& error) {
  // "[json.exception.parse_error.101] parse error at line 3, column 5: ..." without its tag.
  std::string_view reason = error.what();
  if (const size_t end = reason.find("] "); end != std::string_view::npos) {
    reason.remove_prefix(end + 2);
  }
  throw Error(ErrorCode::kBadJson, origin, reason, "Correct the file");
}

void ThrowJsonTooDeep(std::string_view origin) {
  throw Error(ErrorCode::kBadJson, origin,
              "values nest more than " + std::to_string(kMaxJsonDepth) + " deep",
              "Correct the file");
}

}  // namespace vernier
