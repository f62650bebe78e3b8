#include "datasets/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace vernier::datasets {
namespace {

// One less than the largest int32_t, so that their number is an int32_t too.
constexpr uint64_t kMaxTokenId = std::numeric_limits<int32_t>::max() - 1;

}  // namespace

std::optional<int32_t> TokenIdFromJson(const nlohmann::json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kMaxTokenId) return std::nullopt;
  return static_cast<int32_t>(value.get<uint64_t>());
}

Vocabulary Vocabulary::FromJson(const JsonPart& part) {
  if (!part.value().is_object()) part.Refuse("is not an object", "Restore the published file");
  Vocabulary vocabulary;
  std::vector<Entry>& entries = vocabulary.entries_;
  entries.reserve(part.value().size());
  for (const auto& [token, value] : part.value().items()) {
    const std::optional<int32_t> id = TokenIdFromJson(value);
    if (!id)
      part.Refuse(fmt::format("\"{}\" has no valid id", token), "Restore the published file");
    entries.push_back({*id, token});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.id < b.id; });
  const auto twin = std::adjacent_find(entries.begin(), entries.end(),
                                       [](const Entry& a, const Entry& b) { return a.id == b.id; });
  if (twin != entries.end()) {
    part.Refuse(fmt::format("\"{}\" and \"{}\" share the id {}", twin->token,
                            std::next(twin)->token, twin->id),
                "Restore the published file");
  }
  vocabulary.ids_.reserve(entries.size());
  for (const Entry& entry : entries) vocabulary.ids_.emplace(entry.token, entry.id);
  return vocabulary;
}

std::optional<int32_t> Vocabulary::Find(std::string_view token) const {
  const auto it = ids_.find(token);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

const std::string* Vocabulary::Token(int32_t id) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), id,
                                   [](const Entry& entry, int32_t key) { return entry.id < key; });
  return it == entries_.end() || it->id != id ? nullptr : &it->token;
}

}  // namespace vernier::datasets
