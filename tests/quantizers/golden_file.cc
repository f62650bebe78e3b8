#include "tests/quantizers/golden_file.h"

#include <bit>
#include <cstring>
#include <set>
#include <span>
#include <stdexcept>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {

GoldenFile::GoldenFile(const std::string& file_name)
    : file_(File::OpenForRead(std::string(VERNIER_TEST_DATA) + "/numerics/" + file_name)),
      header_(checkpoint::ReadSafetensorsHeader(file_)) {}

std::vector<std::string> GoldenFile::Cases() const {
  std::set<std::string> cases;
  for (const auto& tensor : header_.tensors) {
    cases.insert(tensor.name.substr(0, tensor.name.rfind('.')));
  }
  return {cases.begin(), cases.end()};
}

const checkpoint::TensorInfo& GoldenFile::Info(const std::string& tensor) const {
  for (const auto& info : header_.tensors) {
    if (info.name == tensor) return info;
  }
  throw std::out_of_range(tensor);
}

int64_t GoldenFile::Columns(const std::string& tensor) const { return Info(tensor).shape.back(); }

std::vector<uint8_t> GoldenFile::Bytes(const std::string& tensor) const {
  const checkpoint::TensorInfo& info = Info(tensor);
  std::vector<uint8_t> bytes(info.Bytes());
  file_.ReadAt(info.begin, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::vector<float> GoldenFile::Floats(const std::string& tensor) const {
  const std::vector<uint8_t> bytes = Bytes(tensor);
  const checkpoint::DType dtype = Info(tensor).dtype;
  const size_t width = dtype == checkpoint::DType::kF32 ? 4 : 2;
  std::vector<float> values(bytes.size() / width);
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * width, width);
    const auto half = static_cast<uint16_t>(bits);
    if (dtype == checkpoint::DType::kF32) values[i] = std::bit_cast<float>(bits);
    if (dtype == checkpoint::DType::kBF16) values[i] = Bf16ToFloat(half);
    if (dtype == checkpoint::DType::kF16) values[i] = F16ToFloat(half);
  }
  return values;
}

std::string CompareBits(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return "sizes differ";
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::bit_cast<uint32_t>(actual[i]) != std::bit_cast<uint32_t>(expected[i])) {
      return "index " + std::to_string(i) + ": " + std::to_string(actual[i]) + " for " +
             std::to_string(expected[i]);
    }
  }
  return "equal";
}

}  // namespace vernier::quantizers
