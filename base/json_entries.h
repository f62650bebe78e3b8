// Large JSON files entry by entry.
#ifndef VERNIER_BASE_JSON_ENTRIES_H_
#define VERNIER_BASE_JSON_ENTRIES_H_

#include <filesystem>
#include <functional>
#include <string_view>

#include "base/json.h"

namespace vernier {

// Reads a file that holds an object with long arrays without holding more than one entry of them:
// calls `visit(field, entry)` for every entry of an array that is a field of the object, in their
// order. Errors: kFileOpen, those of ParseJson, and what `visit` throws.
void ForEachArrayEntry(const std::filesystem::path& path,
                       const std::function<void(std::string_view field, const Json& entry)>& visit);

}  // namespace vernier

#endif  // VERNIER_BASE_JSON_ENTRIES_H_
