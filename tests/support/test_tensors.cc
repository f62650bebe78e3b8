#include "tests/support/test_tensors.h"

#include <random>

#include "quantizers/float_formats.h"

namespace vernier::testing {
namespace {

using checkpoint::DType;

std::mt19937 RandomFor(const std::string& name) {
  std::seed_seq seed(name.begin(), name.end());
  return std::mt19937(seed);
}

}  // namespace

size_t ElementsOf(const std::vector<int64_t>& shape) {
  size_t elements = 1;
  for (const int64_t extent : shape) elements *= static_cast<size_t>(extent);
  return elements;
}

TestTensor Zeros(std::string name, DType dtype, std::vector<int64_t> shape) {
  TestTensor tensor = {{std::move(name), dtype, std::move(shape)}, {}};
  tensor.bytes.resize(checkpoint::SpecBytes(tensor.spec));
  return tensor;
}

TestTensor FilledBf16(std::string name, std::vector<int64_t> shape, float value) {
  return Filled(std::move(name), DType::kBF16, std::move(shape), quantizers::FloatToBf16(value));
}

TestTensor RandomBf16(const std::string& name, std::vector<int64_t> shape) {
  std::mt19937 random = RandomFor(name);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<uint16_t> values(ElementsOf(shape));
  for (uint16_t& value : values) value = quantizers::FloatToBf16(normal(random));
  return MakeTensor(name, DType::kBF16, std::move(shape), values);
}

TestTensor RandomFp8(const std::string& name, std::vector<int64_t> shape) {
  std::mt19937 random = RandomFor(name);
  std::vector<uint8_t> codes(ElementsOf(shape));
  for (uint8_t& code : codes) code = static_cast<uint8_t>((random() & 0x80) | (random() % 0x60));
  return MakeTensor(name, DType::kF8E4M3, std::move(shape), codes);
}

}  // namespace vernier::testing
