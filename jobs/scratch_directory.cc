#include "jobs/scratch_directory.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "base/file.h"

namespace vernier::jobs {

ScratchDirectory::ScratchDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "vernier-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) ThrowWriteError(name, errno);
  path_ = name;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace vernier::jobs
