// Tensors of the golden files below tests/data/numerics.
#ifndef VERNIER_TESTS_QUANTIZERS_GOLDEN_FILE_H_
#define VERNIER_TESTS_QUANTIZERS_GOLDEN_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"

namespace vernier::quantizers {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& file_name);

  // The names before the last '.', each once.
  std::vector<std::string> Cases() const;
  int64_t Columns(const std::string& tensor) const;
  std::vector<uint8_t> Bytes(const std::string& tensor) const;
  // BF16, F16 or F32 as F32.
  std::vector<float> Floats(const std::string& tensor) const;

 private:
  const checkpoint::TensorInfo& Info(const std::string& tensor) const;

  File file_;
  checkpoint::SafetensorsHeader header_;
};

// "equal", or the first index at which the bit patterns differ.
std::string CompareBits(const std::vector<float>& actual, const std::vector<float>& expected);

}  // namespace vernier::quantizers

#endif  // VERNIER_TESTS_QUANTIZERS_GOLDEN_FILE_H_
