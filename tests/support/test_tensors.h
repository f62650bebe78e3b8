// Tensors for checkpoints that a test makes up.
#ifndef VERNIER_TESTS_SUPPORT_TEST_TENSORS_H_
#define VERNIER_TESTS_SUPPORT_TEST_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/dtype.h"
#include "checkpoint/safetensors.h"

namespace vernier::testing {

struct TestTensor {
  checkpoint::TensorSpec spec;
  std::vector<std::byte> bytes;  // exactly SpecBytes(spec)
};

// The elements of a tensor; 1 for a scalar.
size_t ElementsOf(const std::vector<int64_t>& shape);

// A tensor whose bytes are those of `values`.
template <typename T>
TestTensor MakeTensor(std::string name, checkpoint::DType dtype, std::vector<int64_t> shape,
                      const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {{std::move(name), dtype, std::move(shape)}, {bytes.begin(), bytes.end()}};
}

// The same value everywhere. Bytes of packed formats are elements here.
template <typename T>
TestTensor Filled(std::string name, checkpoint::DType dtype, std::vector<int64_t> shape, T value) {
  const std::vector<T> values(ElementsOf(shape), value);
  return MakeTensor(std::move(name), dtype, std::move(shape), values);
}

// Zeros of any dtype.
TestTensor Zeros(std::string name, checkpoint::DType dtype, std::vector<int64_t> shape);

// A BF16 tensor of one value.
TestTensor FilledBf16(std::string name, std::vector<int64_t> shape, float value);

// Random tensors have other values for every name, the same on every machine.
// Normally distributed BF16 of deviation 0.05, which lie on no coarser grid.
TestTensor RandomBf16(const std::string& name, std::vector<int64_t> shape);
// Finite E4M3 codes of either sign.
TestTensor RandomFp8(const std::string& name, std::vector<int64_t> shape);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_TEST_TENSORS_H_
