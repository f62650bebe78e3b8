// Errors that all readers of JSON share.
#ifndef VERNIER_BASE_JSON_ERROR_H_
#define VERNIER_BASE_JSON_ERROR_H_

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.h"

namespace vernier {

// The most levels of any published file are below 20. Copying, comparing and printing a value call
// themselves for each level, so that an unlimited depth would exhaust the stack.
inline constexpr int kMaxJsonDepth = 256;

// Whether there are values below more than `levels` others.
bool NestsDeeper(const Json& value, int levels);

// kBadJson with the parser's reason; `origin` names the text.
[[noreturn]] void ThrowBadJson(std::string_view origin, const nlohmann::json::exception& error);
// kBadJson: values nest deeper than kMaxJsonDepth.
[[noreturn]] void ThrowJsonTooDeep(std::string_view origin);

}  // namespace vernier

#endif  // VERNIER_BASE_JSON_ERROR_H_
