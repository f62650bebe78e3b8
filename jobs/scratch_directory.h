// A directory for temporary files that goes away with the process's work.
#ifndef VERNIER_JOBS_SCRATCH_DIRECTORY_H_
#define VERNIER_JOBS_SCRATCH_DIRECTORY_H_

#include <filesystem>

namespace vernier::jobs {

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

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_SCRATCH_DIRECTORY_H_
