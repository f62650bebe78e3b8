// Checkpoints of tests/data/recipes: released names, shapes small and of whole blocks, every byte
// 0.
#ifndef VERNIER_TESTS_RECIPES_SKELETON_MODEL_H_
#define VERNIER_TESTS_RECIPES_SKELETON_MODEL_H_

#include <filesystem>
#include <string_view>

#include "base/json.h"
#include "checkpoint/source_model.h"

namespace vernier::testing {

// Writes tests/data/recipes/<name>.json, {"config", "tensors": {name: [dtype, shape, values]}},
// into `directory` and opens it. Values are there where headers are not enough.
checkpoint::SourceModel OpenSkeleton(std::string_view name, const std::filesystem::path& directory);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_RECIPES_SKELETON_MODEL_H_
