#include "tests/support/read_tensor.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "checkpoint/weight_decoder.h"
#include "checkpoint/weight_reader.h"

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

FileTensor ReadFileTensor(const std::filesystem::path& file, std::string_view name) {
  const File opened = File::OpenForRead(file);
  for (const checkpoint::TensorInfo& info : checkpoint::ReadSafetensorsHeader(opened).tensors) {
    if (info.name != name) continue;
    FileTensor tensor = {info, std::vector<std::byte>(info.Bytes())};
    opened.ReadAt(info.begin, tensor.bytes);
    return tensor;
  }
  ADD_FAILURE() << file << " has no " << name;
  return {};
}

std::vector<float> ReadWeight(const checkpoint::Checkpoint& checkpoint,
                              const checkpoint::LogicalWeight& weight) {
  std::vector<float> values(static_cast<size_t>(weight.rows() * ColumnsPerRow(weight)));
  checkpoint::WeightReader(checkpoint).ReadF32(weight, 0, weight.rows(), values);
  return values;
}

}  // namespace vernier::testing
