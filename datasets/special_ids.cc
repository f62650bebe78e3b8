#include "datasets/special_ids.h"

#include <algorithm>

namespace vernier::datasets {

bool StartsWith(std::span<const int32_t> ids, std::span<const int32_t> prefix) {
  return ids.size() >= prefix.size() && std::ranges::equal(ids.first(prefix.size()), prefix);
}

void AddPrefix(std::span<const int32_t> prefix, std::vector<int32_t>* ids) {
  if (StartsWith(*ids, prefix)) return;
  ids->insert(ids->begin(), prefix.begin(), prefix.end());
}

void AddSuffix(std::span<const int32_t> suffix, std::vector<int32_t>* ids) {
  const std::span<const int32_t> all(*ids);
  const bool is_there =
      all.size() >= suffix.size() && std::ranges::equal(all.last(suffix.size()), suffix);
  if (!is_there) ids->insert(ids->end(), suffix.begin(), suffix.end());
}

}  // namespace vernier::datasets
