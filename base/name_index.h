// Positions by name, looked up without making a string of the name.
#ifndef VERNIER_BASE_NAME_INDEX_H_
#define VERNIER_BASE_NAME_INDEX_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace vernier {

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const noexcept {
    return std::hash<std::string_view>()(name);
  }
};

using NameIndex = std::unordered_map<std::string, size_t, NameHash, std::equal_to<>>;

}  // namespace vernier

#endif  // VERNIER_BASE_NAME_INDEX_H_
