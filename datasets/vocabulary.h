// The tokens of a BPE model and their ids.
#ifndef VERNIER_DATASETS_VOCABULARY_H_
#define VERNIER_DATASETS_VOCABULARY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "datasets/json_part.h"

namespace vernier::datasets {

// Movable, not copyable.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  // {"token": id, ...}. Throws kBadTokenizer for an id that is no number of 31 bits, or used twice.
  static Vocabulary FromJson(const JsonPart& part);

  std::optional<int32_t> Find(std::string_view token) const;
  // The token with this id, if there is one.
  const std::string* Token(int32_t id) const;
  size_t size() const { return entries_.size(); }
  // -1 when empty.
  int32_t largest_id() const { return entries_.empty() ? -1 : entries_.back().id; }

 private:
  struct Entry {
    int32_t id;
    std::string token;
  };

  std::vector<Entry> entries_;                         // by id
  std::unordered_map<std::string_view, int32_t> ids_;  // keys view entries_
};

// The value of a JSON number as a token id; nothing when it is none.
std::optional<int32_t> TokenIdFromJson(const nlohmann::json& value);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_VOCABULARY_H_
