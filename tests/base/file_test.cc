#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier {
namespace {

TEST(FileTest, ReadsBackWhatWasWrittenAtAnOffset) {
  const testing::TempDir dir;
  const File file = File::OpenForWrite(dir.path() / "f", /*truncate=*/true);
  const std::string text = "vernier";
  file.WriteAt(5, std::as_bytes(std::span(text)));
  EXPECT_EQ(file.Size(), 12u);
  std::string back(7, ' ');
  file.ReadAt(5, std::as_writable_bytes(std::span(back)));
  EXPECT_EQ(back, text);
}

TEST(FileTest, ReadingPastTheEndNamesTheFileAndTheByte) {
  const testing::TempDir dir;
  WriteFileAtomically(dir.path() / "short", "abc");
  const File file = File::OpenForRead(dir.path() / "short");
  std::array<std::byte, 8> out;
  EXPECT_VERNIER_ERROR(file.ReadAt(1, out), ErrorCode::kFileRead, "short");
  EXPECT_VERNIER_ERROR(file.ReadAt(1, out), ErrorCode::kFileRead, "ends at byte 3");
}

TEST(FileTest, CreatesDirectoriesWithTheirParents) {
  const testing::TempDir dir;
  CreateDirectories(dir.path() / "a/b/c/");
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() / "a/b/c"));
  CreateDirectories(dir.path() / "a/b");  // is there already
  CreateDirectories("");
  WriteFileAtomically(dir.path() / "file", "x");
  EXPECT_VERNIER_ERROR(CreateDirectories(dir.path() / "file"), ErrorCode::kFileWrite, "file");
  EXPECT_VERNIER_ERROR(CreateDirectories(dir.path() / "file/below"), ErrorCode::kFileWrite, "file");
}

TEST(FileTest, MissingFileIsNamed) {
  EXPECT_VERNIER_ERROR(File::OpenForRead("/nonexistent/x"), ErrorCode::kFileOpen, "/nonexistent/x");
}

TEST(FileTest, AtomicWriteReplacesAndLeavesNoPartial) {
  const testing::TempDir dir;
  const auto path = dir.path() / "config.json";
  WriteFileAtomically(path, "a longer first content");
  WriteFileAtomically(path, "second");
  EXPECT_EQ(ReadWholeFile(path), "second");
  EXPECT_FALSE(std::filesystem::exists(PartialPath(path)));
}

TEST(FileTest, FreeSpaceIsCheckedAtTheNearestExistingParent) {
  const testing::TempDir dir;
  RequireFreeSpace(dir.path() / "not" / "there", 1, "a test");
  EXPECT_VERNIER_ERROR(RequireFreeSpace(dir.path() / "not" / "there", uint64_t{1} << 60, "a test"),
                       ErrorCode::kNoSpace, "a test needs");
}

// A file-size limit is the one full disk that needs no file system of its own.
TEST(FileTest, WritingBeyondALimitIsAnErrorAndNotASignal) {
  const testing::TempDir dir;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1024, 1024};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      const File file = File::OpenForWrite(dir.path() / "big", true);
      const std::string bytes(4096, 'x');
      file.WriteAt(0, std::as_bytes(std::span(bytes)));
    } catch (const Error& error) {
      _exit(error.code() == ErrorCode::kFileWrite ? 0 : 1);
    }
    _exit(2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace vernier
