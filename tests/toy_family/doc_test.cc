// docs/families.md shows files as they are compiled here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace vernier {
namespace {

TEST(FamiliesDoc, ShowsTheToyFamilyAndItsRow) {
  const std::filesystem::path root = VERNIER_SOURCE_DIR;
  const std::string doc = ReadWholeFile(root / "docs/families.md");
  for (const char* file : {"toy_family.cc", "toy_rows.cc"}) {
    const std::string code = ReadWholeFile(root / "tests/toy_family" / file);
    EXPECT_THAT(doc, ::testing::HasSubstr("```cpp\n" + code + "```\n")) << file;
  }
}

}  // namespace
}  // namespace vernier
