// The special tokens that a tokenizer puts around a text.
#ifndef VERNIER_DATASETS_SPECIAL_IDS_H_
#define VERNIER_DATASETS_SPECIAL_IDS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace vernier::datasets {

bool StartsWith(std::span<const int32_t> ids, std::span<const int32_t> prefix);

// Puts `prefix` before and `suffix` behind the ids, each unless it is there already: a text may
// have been written with its BOS.
void AddPrefix(std::span<const int32_t> prefix, std::vector<int32_t>* ids);
void AddSuffix(std::span<const int32_t> suffix, std::vector<int32_t>* ids);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_SPECIAL_IDS_H_
