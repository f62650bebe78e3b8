// The bytes of a tensor, by name.
#ifndef VERNIER_TESTS_SUPPORT_READ_TENSOR_H_
#define VERNIER_TESTS_SUPPORT_READ_TENSOR_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace vernier::testing {

// Fails the test, and is empty, when there is no such tensor.
std::vector<std::byte> ReadTensor(const checkpoint::Checkpoint& checkpoint, std::string_view name);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_READ_TENSOR_H_
