// A directory that lives as long as a test, and a way to build small checkpoints in it.
#ifndef VERNIER_TESTS_SUPPORT_TEMP_DIR_H_
#define VERNIER_TESTS_SUPPORT_TEMP_DIR_H_

#include <filesystem>

namespace vernier::testing {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_TEMP_DIR_H_
