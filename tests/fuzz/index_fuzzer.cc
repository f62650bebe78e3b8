// Any bytes as a shard index: the outcome is an index of plain file names or vernier::Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "checkpoint/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto index =
        vernier::checkpoint::ParseShardIndex({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& file : index.files) {
      if (file.empty() || file.find('/') != file.npos || file.find("..") != file.npos) {
        __builtin_trap();
      }
    }
    for (const auto& [name, file] : index.file_of_tensor) {
      if (file >= index.files.size()) __builtin_trap();
    }
  } catch (const vernier::Error&) {
  }
  return 0;
}
