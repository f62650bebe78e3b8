// What tests of weight formats share: a family without opinions, and checkpoints read with it.
#ifndef VERNIER_TESTS_CHECKPOINT_TEST_LAYOUT_H_
#define VERNIER_TESTS_CHECKPOINT_TEST_LAYOUT_H_

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/model_layout.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {

// Calls every "*.weight" a linear layer.
class LinearFamily : public checkpoint::Family {
 public:
  std::string_view model_type() const override { return "test"; }
  checkpoint::TensorMeaning Classify(std::string_view name) const override {
    checkpoint::TensorMeaning meaning;
    meaning.role = checkpoint::Role::kDenseMlp;
    meaning.linear = name.ends_with(".weight");
    return meaning;
  }
  checkpoint::ModelDims Dims() const override { return {}; }
  std::vector<checkpoint::ConfigPatch> PatchConfig(Json& /*config*/) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return {}; }
  void CheckShapes(const checkpoint::ModelLayout& /*layout*/) const override {}
};

// A checkpoint of made-up tensors; most hold one weight, of the module "x".
struct OpenedTensors {
  checkpoint::Checkpoint checkpoint;
  checkpoint::ModelLayout layout;

  const checkpoint::LogicalWeight& weight() const { return *layout.FindModule("x"); }
};

inline OpenedTensors OpenTensors(const std::filesystem::path& directory,
                                 const std::vector<TestTensor>& tensors,
                                 const Json& config = Json::object()) {
  WriteCheckpoint(directory, config, tensors, /*shards=*/1);
  checkpoint::Checkpoint checkpoint = checkpoint::Checkpoint::Open(directory);
  checkpoint::ModelLayout layout = BuildModelLayout(checkpoint, LinearFamily());
  return {std::move(checkpoint), std::move(layout)};
}

inline std::vector<TestTensor> Without(std::vector<TestTensor> tensors, size_t index) {
  tensors.erase(tensors.begin() + static_cast<ptrdiff_t>(index));
  return tensors;
}

inline std::vector<TestTensor> Replace(std::vector<TestTensor> tensors, size_t index,
                                       TestTensor tensor) {
  tensors[index] = std::move(tensor);
  return tensors;
}

inline std::vector<TestTensor> With(std::vector<TestTensor> tensors, TestTensor tensor) {
  tensors.push_back(std::move(tensor));
  return tensors;
}

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_CHECKPOINT_TEST_LAYOUT_H_
