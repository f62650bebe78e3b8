// Reads GGUF files, as the format is described, for tests of what writes them.
#ifndef VERNIER_TESTS_SUPPORT_GGUF_FILE_H_
#define VERNIER_TESTS_SUPPORT_GGUF_FILE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::testing {

struct GgufFileTensor {
  uint32_t type = 0;
  std::vector<int64_t> shape;  // outermost first
  uint64_t offset = 0;         // in the data
  std::string bytes;
};

struct GgufFile {
  std::map<std::string, Json> metadata;
  std::map<std::string, GgufFileTensor> tensors;
};

// A failure of the test where the file ends too early, a value is of no type that is known here, a
// tensor does not begin at a multiple of 32 bytes, or bytes between tensors are no zeros.
GgufFile ReadGgufFile(const std::filesystem::path& path);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_GGUF_FILE_H_
