// A small checkpoint of the toy family.
#ifndef VERNIER_TESTS_TOY_FAMILY_TOY_CHECKPOINT_H_
#define VERNIER_TESTS_TOY_FAMILY_TOY_CHECKPOINT_H_

#include <filesystem>

#include "base/json.h"

namespace vernier::testing {

inline constexpr int64_t kToyLayers = 4;
inline constexpr int64_t kToyVocabulary = 256;

Json ToyConfig();

// Random BF16 tensors: all that the config implies.
void WriteToyCheckpoint(const std::filesystem::path& directory);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_TOY_FAMILY_TOY_CHECKPOINT_H_
