// A directory for temporary files that goes away with the process's work.
#ifndef VERNIER_TOOLS_SCRATCH_DIRECTORY_H_
#define VERNIER_TOOLS_SCRATCH_DIRECTORY_H_

#include <filesystem>

namespace vernier::tools {

// A directory of this process, removed with what it holds. kFileWrite when none can be made.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_SCRATCH_DIRECTORY_H_
