// Texts and errors on their way to callers in C.
#ifndef VERNIER_API_TEXT_H_
#define VERNIER_API_TEXT_H_

#include <string_view>

#include "base/json.h"
#include "vernier/c.h"

namespace vernier::api {

// Empty for null.
std::string_view TextOf(const char* text);

// The object as a text for vernier_free, in UTF-8 whatever it holds: names from files need not be.
// Null when there is no memory for it. Nothing where `place` is null.
void PutJson(const Json& json, char** place);

// Tells the caller of the error under way, in `place`; to be called in a catch clause.
vernier_status FailWithCurrentException(char** place);

}  // namespace vernier::api

#endif  // VERNIER_API_TEXT_H_
