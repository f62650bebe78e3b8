#include "tests/recipes/skeleton_model.h"

#include <string>
#include <vector>

#include "base/file.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {
namespace {

TestTensor SkeletonTensor(const std::string& name, const Json& row) {
  const auto dtype = checkpoint::DTypeFromName(row[0].get<std::string>());
  const auto shape = row[1].get<std::vector<int64_t>>();
  if (row.size() < 3) return Zeros(name, dtype, shape);
  return MakeTensor(name, dtype, shape, row[2].get<std::vector<int64_t>>());
}

}  // namespace

checkpoint::SourceModel OpenSkeleton(std::string_view name,
                                     const std::filesystem::path& directory) {
  const std::filesystem::path file =
      std::filesystem::path(VERNIER_TEST_DATA) / "recipes" / (std::string(name) + ".json");
  const Json skeleton = ParseJson(ReadWholeFile(file), file.string());
  std::vector<TestTensor> tensors;
  for (const auto& [tensor, row] : skeleton["tensors"].items()) {
    tensors.push_back(SkeletonTensor(tensor, row));
  }
  WriteCheckpoint(directory, skeleton["config"], tensors, 1);
  return checkpoint::OpenAnySourceModel(directory);
}

}  // namespace vernier::testing
