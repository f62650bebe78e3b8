// What a checkpoint or a safetensors file holds, by name.
#ifndef VERNIER_TESTS_SUPPORT_READ_TENSOR_H_
#define VERNIER_TESTS_SUPPORT_READ_TENSOR_H_

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::testing {

// The bytes of a tensor. Fails the test, and is empty, when there is no such tensor.
std::vector<std::byte> ReadTensor(const checkpoint::Checkpoint& checkpoint, std::string_view name);

// The same of a single file, and how the file describes the tensor.
struct FileTensor {
  checkpoint::TensorInfo info;
  std::vector<std::byte> bytes;

  template <typename T>
  std::vector<T> As() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
};
FileTensor ReadFileTensor(const std::filesystem::path& file, std::string_view name);

// All values of a weight, dequantised, row by row.
std::vector<float> ReadWeight(const checkpoint::Checkpoint& checkpoint,
                              const checkpoint::LogicalWeight& weight);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_READ_TENSOR_H_
