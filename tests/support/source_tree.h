// Where tests find what the repository ships.
#ifndef VERNIER_TESTS_SUPPORT_SOURCE_TREE_H_
#define VERNIER_TESTS_SUPPORT_SOURCE_TREE_H_

#include <filesystem>
#include <string>

namespace vernier::testing {

inline const std::filesystem::path kSourceTree = VERNIER_SOURCE_DIR;
// The model of the quick start.
inline const std::string kExample = (kSourceTree / "examples/mini-deepseek-v4").string();

inline const std::filesystem::path kTestModels =
    std::filesystem::path(VERNIER_TEST_DATA) / "models";

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_SOURCE_TREE_H_
