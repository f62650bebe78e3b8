#include "api/text.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "base/error.h"

namespace vernier::api {
namespace {

Json ErrorJson(const Error& error) {
  return {{"code", CodeName(error.code())},   {"meaning", CodeSummary(error.code())},
          {"subject", error.parts().subject}, {"problem", error.parts().problem},
          {"remedy", error.parts().remedy},   {"message", error.what()}};
}

vernier_status FailWith(const Error& error, char** place) {
  PutJson(ErrorJson(error), place);
  return error.code() == ErrorCode::kInterrupted ? VERNIER_STOPPED : VERNIER_FAILED;
}

}  // namespace

std::string_view TextOf(const char* text) { return text == nullptr ? "" : text; }

void PutJson(const Json& json, char** place) {
  if (place == nullptr) return;
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  *place = static_cast<char*>(std::malloc(text.size() + 1));
  if (*place != nullptr) std::memcpy(*place, text.c_str(), text.size() + 1);
}

vernier_status FailWithCurrentException(char** place) {
  try {
    throw;
  } catch (const Error& error) {
    return FailWith(error, place);
  } catch (const std::bad_alloc&) {
    return FailWith(Error(ErrorCode::kOutOfMemory, "vernier", "out of memory",
                          "Lower device_memory, host_memory or stream_memory"),
                    place);
  } catch (const std::exception& error) {
    return FailWith(Error(ErrorCode::kUnexpected, "vernier", error.what(), "Please report it"),
                    place);
  }
}

}  // namespace vernier::api
