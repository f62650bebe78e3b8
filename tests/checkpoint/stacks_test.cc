#include "checkpoint/stacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/hash.h"
#include "checkpoint/tensor_digests.h"
#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/stacked_model.h"
#include "tests/support/synthetic_checkpoint.h"
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

// Of all stacks among the tensors.
std::vector<NamedPart> Parts(const std::vector<TensorInfo>& tensors,
                             std::span<const StackRow> rows) {
  std::vector<NamedPart> all;
  const auto info = [&](size_t i) -> const TensorInfo& { return tensors[i]; };
  for (const Stack& stack : FindStacks(tensors.size(), info, rows)) {
    for (NamedPart& part : PartsOf(stack, BlockSize{128, 128})) all.push_back(std::move(part));
  }
  return all;
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
  for (const NamedPart& part : Parts({stored}, rows)) {
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
constexpr StackRow kTurns[] = {{"gate_up_proj", {"gate_proj", "up_proj"}, /*interleaved=*/true}};
constexpr StackRow kLying[] = {
    {"gate_up_proj", {"gate_proj", "up_proj"}, /*interleaved=*/false, /*transposed=*/true}};

TEST(PartsOfTest, NamesAreThoseOfSingleExperts) {
  EXPECT_THAT(NamesOf(Parts({Info("l.experts.gate_up_proj", DType::kF8E4M3, {1, 512, 128}),
                             Info("l.experts.gate_up_proj_scale_inv", DType::kF32, {1, 4, 1})},
                            kGateUp)),
              ElementsAre("l.experts.0.gate_proj.weight", "l.experts.0.up_proj.weight",
                          "l.experts.0.gate_proj.weight_scale_inv",
                          "l.experts.0.up_proj.weight_scale_inv"));
}

// One number an expert is the number of both of its matrices.
TEST(PartsOfTest, NumbersAreShared) {
  const auto parts = Parts({Info("l.experts.gate_up_proj", DType::kU8, {3, 8, 16}),
                            Info("l.experts.gate_up_proj_weight_scale_2", DType::kF32, {3, 1})},
                           kGateUp);
  ASSERT_THAT(parts, SizeIs(12));
  for (size_t i = 6; i < parts.size(); ++i) {
    EXPECT_THAT(parts[i].spec.shape, IsEmpty());
    EXPECT_EQ(CoveringRange(parts[i].part, 0, 4).begin, 4 * ((i - 6) / 2));
  }
}

TEST(PartsOfTest, ScalesOfRowsFollowTheRows) {
  const auto parts = Parts({Info("l.experts.gate_up_proj", DType::kF8E4M3, {2, 6, 16}),
                            Info("l.experts.gate_up_proj_weight_scale", DType::kF32, {2, 6})},
                           kTurns);
  ASSERT_THAT(parts, SizeIs(8));
  EXPECT_EQ(parts[5].spec.name, "l.experts.0.up_proj.weight_scale");
  EXPECT_THAT(parts[5].spec.shape, ElementsAre(3, 1));
  EXPECT_EQ(parts[5].part.stride, 2);
}

// Biases are vectors whose elements lie as the rows do.
TEST(PartsOfTest, BiasesFollowTheRows) {
  const auto parts = Parts({Info("l.experts.gate_up_proj", DType::kBF16, {2, 6, 16}),
                            Info("l.experts.gate_up_proj_bias", DType::kBF16, {2, 6})},
                           kTurns);
  ASSERT_THAT(parts, SizeIs(8));
  EXPECT_EQ(parts[7].spec.name, "l.experts.1.up_proj.bias");
  EXPECT_THAT(parts[7].spec.shape, ElementsAre(3));
  EXPECT_EQ(parts[7].part.first, 1);
  EXPECT_EQ(parts[7].part.stride, 2);
  EXPECT_EQ(parts[7].part.slab_begin, 12);
}

// As they stand beside experts that were quantised one by one.
TEST(PartsOfTest, BiasesMayBeAlone) {
  const auto parts = Parts({Info("l.experts.gate_up_proj_bias", DType::kBF16, {2, 6}),
                            Info("l.experts.0.gate_proj.weight", DType::kU8, {3, 8})},
                           kTurns);
  EXPECT_THAT(NamesOf(parts),
              ElementsAre("l.experts.0.gate_proj.bias", "l.experts.0.up_proj.bias",
                          "l.experts.1.gate_proj.bias", "l.experts.1.up_proj.bias"));
}

TEST(PartsOfTest, WhatNoRowMeansIsNotTakenApart) {
  const auto parts = [](const std::string& name, std::vector<int64_t> shape) {
    return Parts({Info(name, DType::kBF16, std::move(shape))}, kGateUp);
  };
  EXPECT_THAT(parts("l.experts.gate_up_proj", {2, 7, 16}), IsEmpty());  // no two halves
  EXPECT_THAT(parts("l.experts.gate_up_proj", {2, 16}), IsEmpty());     // no matrices
  EXPECT_THAT(parts("l.experts.down_proj", {2, 8, 16}), IsEmpty());     // no row
  EXPECT_THAT(parts("l.mlp.gate_up_proj", {2, 8, 16}), IsEmpty());      // no experts
  EXPECT_THAT(parts("l.experts.gate_up_proj", {0, 8, 16}), IsEmpty());
  EXPECT_THAT(parts("l.experts.gate_up_proj_scale", {2, 8, 1}), IsEmpty());  // no values
}

TEST(PartsOfTest, SoManyExpertsHasNoModel) {
  const auto parts = [](int64_t experts) {
    return Parts({Info("l.experts.gate_up_proj", DType::kBF16, {experts, 2, 1})}, kGateUp).size();
  };
  EXPECT_EQ(parts(1 << 10), 2u << 10u);
  EXPECT_EQ(parts(int64_t{1} << 40), 0u);
}

// A block of rows that has some of both belongs to neither: the stack stays whole, its values too.
TEST(PartsOfTest, BlocksOfBothPartsAreNotTakenApart) {
  const auto parts = [](int64_t rows, int64_t blocks, std::span<const StackRow> stack_rows) {
    return Parts({Info("l.experts.gate_up_proj", DType::kF8E4M3, {2, rows, 128}),
                  Info("l.experts.gate_up_proj_scale_inv", DType::kF32, {2, blocks, 1})},
                 stack_rows);
  };
  EXPECT_THAT(parts(256, 2, kGateUp), SizeIs(8));
  EXPECT_THAT(parts(256, 2, kTurns), IsEmpty());
  EXPECT_THAT(parts(300, 3, kGateUp), IsEmpty());
  EXPECT_THAT(parts(200, 2, kGateUp), IsEmpty());  // the first block ends within the second part
}

// gpt-oss: blocks lie in rows, where plain values of the same stack would be transposed.
TEST(PartsOfTest, BlocksAreNeverTransposed) {
  const auto parts = Parts({Info("l.experts.gate_up_proj_blocks", DType::kU8, {2, 8, 3, 16}),
                            Info("l.experts.gate_up_proj_scales", DType::kU8, {2, 8, 3})},
                           kLying);
  ASSERT_THAT(parts, SizeIs(8));
  EXPECT_THAT(parts[0].spec.shape, ElementsAre(4, 48));
  EXPECT_THAT(parts[4].spec.shape, ElementsAre(4, 3));
}

// Nibbles of a byte are neighbours in a row, and a row of bytes is none where columns are stored.
TEST(PartsOfTest, PackedValuesAreNotTransposed) {
  EXPECT_THAT(Parts({Info("l.experts.gate_up_proj", DType::kU8, {2, 8, 16})}, kLying), IsEmpty());
  EXPECT_THAT(Parts({Info("l.experts.gate_up_proj", DType::kF8E4M3, {2, 8, 16})}, kLying),
              SizeIs(4));
}

// A digest reads in pieces, which are rows: those of a part over 8 MiB do not divide it.
TEST(SplitStacksTest, DigestsAreThoseOfTheWholePart) {
  constexpr int64_t kRows = 1500, kColumns = 2880;
  std::vector<uint16_t> values(static_cast<size_t>(2 * kRows * kColumns));
  std::iota(values.begin(), values.end(), uint16_t{0});
  for (const StackRow row : {kTurns[0], kLying[0]}) {
    const testing::TempDir directory;
    const std::vector<int64_t> shape = row.transposed
                                           ? std::vector<int64_t>{1, kColumns, 2 * kRows}
                                           : std::vector<int64_t>{1, 2 * kRows, kColumns};
    testing::WriteCheckpoint(
        directory.path(), Json::object(),
        {testing::MakeTensor("l.experts.gate_up_proj", DType::kBF16, shape, values)}, 1);
    Checkpoint checkpoint = Checkpoint::Open(directory.path());
    checkpoint.SplitStacks(std::span(&row, 1));
    const size_t part = checkpoint.Find("l.experts.0.up_proj.weight");
    ASSERT_NE(part, Checkpoint::kNotFound);
    struct Observer final : ReadObserver {
      void OnDigest(size_t, const std::string& digest) override { seen = digest; }
      void OnClamped(const ClampedElements&) override {}
      std::string seen;
    } observer;
    TensorDigests(checkpoint, &observer).AddWhole(part);
    const std::vector<std::byte> bytes =
        testing::ReadTensor(checkpoint, "l.experts.0.up_proj.weight");
    EXPECT_EQ(observer.seen, HashHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
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
