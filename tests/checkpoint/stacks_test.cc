#include "checkpoint/stacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/stacked_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::StackForm;

const std::filesystem::path kMoe = testing::kTestModels / "tiny-qwen3-moe";

TensorInfo Info(std::string name, DType dtype, std::vector<int64_t> shape) {
  return PlaceTensor({std::move(name), dtype, std::move(shape)}, 100);
}

std::vector<std::string> NamesOf(const std::vector<NamedPart>& parts) {
  std::vector<std::string> names;
  for (const NamedPart& part : parts) names.push_back(part.spec.name);
  return names;
}

class StackFormTest : public ::testing::TestWithParam<StackForm> {};

// Every value, in the order in which its own tensor would have it.
TEST_P(StackFormTest, PartsAreTheTensorsThatWereStacked) {
  const testing::TempDir directory;
  testing::StackExperts(kMoe, directory.path(), GetParam());
  const SourceModel stacked = testing::OpenStacked(directory.path(), GetParam());
  const SourceModel apart = OpenSourceModel(kMoe);
  ASSERT_THAT(stacked.layout.weights, SizeIs(apart.layout.weights.size()));
  for (const LogicalWeight& expected : apart.layout.weights) {
    const LogicalWeight* weight = stacked.layout.FindName(expected.name);
    ASSERT_NE(weight, nullptr) << expected.name;
    EXPECT_EQ(weight->shape, expected.shape);
    EXPECT_EQ(weight->fused_group, expected.fused_group);
    EXPECT_EQ(weight->expert, expected.expert);
    EXPECT_EQ(testing::ReadTensor(stacked.checkpoint, expected.name),
              testing::ReadTensor(apart.checkpoint, expected.name))
        << expected.name;
    EXPECT_EQ(testing::ReadWeight(stacked.checkpoint, *weight),
              testing::ReadWeight(apart.checkpoint, expected));
  }
}

// Whole rows in the middle of an expert's matrix.
TEST_P(StackFormTest, SomeRowsAreThoseOfTheWhole) {
  const testing::TempDir directory;
  testing::StackExperts(kMoe, directory.path(), GetParam());
  const SourceModel stacked = testing::OpenStacked(directory.path(), GetParam());
  const std::string name = "model.layers.1.mlp.experts.5.up_proj.weight";
  const size_t tensor = stacked.checkpoint.Find(name);
  const std::vector<std::byte> all = testing::ReadTensor(stacked.checkpoint, name);
  const uint64_t row =
      all.size() / static_cast<uint64_t>(stacked.checkpoint.tensor(tensor).info.shape[0]);
  std::vector<std::byte> some(3 * row);
  stacked.checkpoint.Read(tensor, 7 * row, some);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + static_cast<ptrdiff_t>(7 * row)));
}

TEST_P(StackFormTest, ScatteringIsTheInverseOfGathering) {
  const TensorInfo stored = Info("x.experts.gate_up_proj", DType::kBF16, {2, 6, 4});
  const auto rows = GetParam().Rows();
  std::vector<std::byte> bytes(stored.Bytes()), again(stored.Bytes());
  std::iota(reinterpret_cast<uint8_t*>(bytes.data()),
            reinterpret_cast<uint8_t*>(bytes.data()) + bytes.size(), uint8_t{0});
  for (const NamedPart& part : PartsOfStack(stored, 0, rows)) {
    const uint64_t size = SpecBytes(part.spec);
    const StoredRange range = CoveringRange(part.part, 0, size);
    std::vector<std::byte> own(size);
    GatherRows(part.part, 0, std::span(bytes).subspan(range.begin, range.end - range.begin), own);
    ScatterRows(part.part, own,
                std::span(again).subspan(part.part.slab_begin, part.part.slab_bytes()));
  }
  EXPECT_EQ(again, bytes);
}

INSTANTIATE_TEST_SUITE_P(Forms, StackFormTest, ::testing::ValuesIn(testing::kStackForms),
                         [](const auto& info) { return info.param.Name(); });

constexpr StackRow kGateUp[] = {{"gate_up_proj", {"gate_proj", "up_proj"}}};

TEST(PartsOfStackTest, NamesAreThoseOfSingleExperts) {
  EXPECT_THAT(
      NamesOf(PartsOfStack(Info("l.experts.gate_up_proj", DType::kBF16, {2, 8, 16}), 3, kGateUp)),
      ElementsAre("l.experts.0.gate_proj.weight", "l.experts.0.up_proj.weight",
                  "l.experts.1.gate_proj.weight", "l.experts.1.up_proj.weight"));
  EXPECT_THAT(NamesOf(PartsOfStack(Info("l.experts.gate_up_proj_scale_inv", DType::kF32, {1, 2, 1}),
                                   3, kGateUp)),
              ElementsAre("l.experts.0.gate_proj.weight_scale_inv",
                          "l.experts.0.up_proj.weight_scale_inv"));
}

// One number an expert is the number of both of its matrices.
TEST(PartsOfStackTest, NumbersAreShared) {
  const auto parts =
      PartsOfStack(Info("l.experts.gate_up_proj_weight_scale_2", DType::kF32, {3, 1}), 0, kGateUp);
  ASSERT_THAT(parts, SizeIs(6));
  for (const NamedPart& part : parts) {
    EXPECT_THAT(part.spec.shape, IsEmpty());
    EXPECT_EQ(CoveringRange(part.part, 0, 4).begin, 4 * static_cast<uint64_t>(part.part.expert));
  }
}

TEST(PartsOfStackTest, WhatNoRowMeansIsNotTakenApart) {
  const auto parts = [](const std::string& name, std::vector<int64_t> shape) {
    return PartsOfStack(Info(name, DType::kBF16, std::move(shape)), 0, kGateUp);
  };
  EXPECT_THAT(parts("l.experts.gate_up_proj", {2, 7, 16}), IsEmpty());    // no two halves
  EXPECT_THAT(parts("l.experts.gate_up_proj", {2, 16}), IsEmpty());       // no matrices
  EXPECT_THAT(parts("l.experts.gate_up_proj_bias", {2, 16}), IsEmpty());  // no weight's part
  EXPECT_THAT(parts("l.experts.down_proj", {2, 8, 16}), IsEmpty());       // no row
  EXPECT_THAT(parts("l.mlp.gate_up_proj", {2, 8, 16}), IsEmpty());        // no experts
  EXPECT_THAT(parts("l.experts.gate_up_proj", {0, 8, 16}), IsEmpty());
}

// Scales of blocks of rows that cross from one half into the other belong to neither.
TEST(PartsOfStackTest, BlocksOfBothHalvesAreNotTakenApart) {
  EXPECT_THAT(
      PartsOfStack(Info("l.experts.gate_up_proj_scale_inv", DType::kF32, {2, 3, 4}), 0, kGateUp),
      IsEmpty());
}

// A checkpoint that has both keeps them apart.
TEST(SplitStacksTest, NamesThatExistAreNotTaken) {
  Checkpoint checkpoint = Checkpoint::Open(kMoe);
  const size_t tensors = checkpoint.tensors().size();
  checkpoint.SplitStacks(kGateUp);
  EXPECT_THAT(checkpoint.tensors(), SizeIs(tensors));
  EXPECT_THAT(checkpoint.stored_tensors(), SizeIs(tensors));
}

}  // namespace
}  // namespace vernier::checkpoint
