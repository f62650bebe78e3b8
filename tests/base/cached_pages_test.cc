#include "base/cached_pages.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace vernier {
namespace {

TEST(CachedPagesTest, KnowsWhatWasRead) {
  const testing::TempDir dir;
  const std::string content(1'000'000, 'x');
  WriteFileAtomically(dir.path() / "file", content);
  const File file = File::OpenForRead(dir.path() / "file");
  const CachedPages pages(file);
  EXPECT_TRUE(pages.Hold(0, content.size()));
  EXPECT_TRUE(pages.Hold(content.size() - 1, content.size()));
  file.Sync();
  ASSERT_EQ(posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED), 0);
  if (pages.Hold(0, content.size())) GTEST_SKIP() << "this file system is in memory";
  EXPECT_FALSE(pages.Hold(5'000, 5'001)) << "looking reads nothing";
  ReadWholeFile(dir.path() / "file");
  EXPECT_TRUE(pages.Hold(0, content.size()));
}

TEST(CachedPagesTest, AnEmptyFileHasNone) {
  const testing::TempDir dir;
  WriteFileAtomically(dir.path() / "file", "");
  const CachedPages pages(File::OpenForRead(dir.path() / "file"));
  EXPECT_FALSE(pages.Hold(0, 0));
}

}  // namespace
}  // namespace vernier
