#include "tests/support/read_tensor.h"

#include <gtest/gtest.h>

namespace vernier::testing {

std::vector<std::byte> ReadTensor(const checkpoint::Checkpoint& checkpoint, std::string_view name) {
  const size_t index = checkpoint.Find(name);
  if (index == checkpoint::Checkpoint::kNotFound) {
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }
  std::vector<std::byte> bytes(checkpoint.tensor(index).info.Bytes());
  checkpoint.Read(index, 0, bytes);
  return bytes;
}

}  // namespace vernier::testing
