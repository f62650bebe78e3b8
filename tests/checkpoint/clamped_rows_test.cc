#include "checkpoint/clamped_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "checkpoint/tensor_digests.h"
#include "checkpoint/weight_reader.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::vernier::testing::MakeTensor;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr uint8_t kE4m3One = 0x38;
constexpr uint8_t kE8m0One = 127;
constexpr uint8_t kE8m0Nan = 0xFF;
const float kLargestBf16 = std::bit_cast<float>(0x7F7F0000u);

// Remembers what it is told, in words.
class Notes : public ReadObserver {
 public:
  explicit Notes(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  void OnDigest(size_t tensor, const std::string& digest) override {
    digests[checkpoint_.tensor(tensor).info.name] = digest;
  }
  void OnClamped(const ClampedElements& elements) override {
    clamped.push_back(checkpoint_.tensor(elements.tensor).info.name + " " +
                      std::to_string(elements.count) + " from " + std::to_string(elements.first) +
                      " " + elements.value);
  }

  std::map<std::string, std::string> digests;
  std::vector<std::string> clamped;

 private:
  const Checkpoint& checkpoint_;
};

class ClampTest : public ::testing::Test {
 protected:
  // Reads rows of the module "x"; a negative count means all of them.
  std::vector<float> Read(const std::vector<TestTensor>& tensors, int64_t row_begin = 0,
                          int64_t row_count = -1, const Json& config = Json::object()) {
    const auto opened = ::vernier::testing::OpenTensors(directory_.path(), tensors, config);
    const Checkpoint& checkpoint = opened.checkpoint;
    const LogicalWeight& weight = opened.weight();
    if (row_count < 0) row_count = weight.rows();
    Notes notes(checkpoint);
    std::vector<float> values(static_cast<size_t>(row_count * ColumnsPerRow(weight)));
    WeightReader(checkpoint, {.observer = &notes, .clamp = true})
        .ReadF32(weight, row_begin, row_count, values);
    clamped_ = notes.clamped;
    digests_ = notes.digests;
    return values;
  }

  std::vector<std::string> clamped_;
  std::map<std::string, std::string> digests_;

 private:
  TempDir directory_;
};

TEST_F(ClampTest, PlainValuesOfEveryType) {
  EXPECT_THAT(
      Read({MakeTensor<float>("x.weight", DType::kF32, {2, 3}, {1, -kInf, kNan, kInf, -2, 3})}),
      ElementsAre(1, -kLargestBf16, 0, kLargestBf16, -2, 3));
  EXPECT_THAT(clamped_, ElementsAre("x.weight 3 from 1 -inf"));
  EXPECT_THAT(
      Read({MakeTensor<uint16_t>("x.weight", DType::kBF16, {4}, {0x3F80, 0x7F80, 0xFFC1, 0xFF80})}),
      ElementsAre(1, kLargestBf16, 0, -kLargestBf16));
  EXPECT_THAT(clamped_, ElementsAre("x.weight 3 from 1 inf"));
  EXPECT_THAT(Read({MakeTensor<uint16_t>("x.weight", DType::kF16, {3}, {0x7E00, 0x7C00, 0xFC00})}),
              ElementsAre(0, 65504, -65504));
  EXPECT_THAT(clamped_, ElementsAre("x.weight 3 from 0 NaN"));
}

TEST_F(ClampTest, FiniteValuesStayAndAreNotReported) {
  const std::vector<float> values = {1, -2, std::numeric_limits<float>::max(), 0};
  EXPECT_THAT(Read({MakeTensor("x.weight", DType::kF32, {2, 2}, values)}),
              ElementsAreArray(values));
  EXPECT_TRUE(clamped_.empty());
}

// 3 x 5 codes of 1 in blocks of 2 x 2.
std::vector<TestTensor> Fp8(const TestTensor& scale) {
  return {MakeTensor("x.weight", DType::kF8E4M3, {3, 5}, std::vector<uint8_t>(15, kE4m3One)),
          scale};
}
const Json kBlocksOfTwo = {{"quantization_config", {{"weight_block_size", {2, 2}}}}};

TEST_F(ClampTest, ABadPowerOfTwoMakesItsBlockZero) {
  const auto scale = MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {2, 3},
                                         {kE8m0One, kE8m0Nan, 126, 129, kE8m0One, kE8m0Nan});
  EXPECT_THAT(Read(Fp8(scale), 0, -1, kBlocksOfTwo), ElementsAre(1, 1, 0, 0, 0.5f,  //
                                                                 1, 1, 0, 0, 0.5f,  //
                                                                 4, 4, 1, 1, 0));
  EXPECT_THAT(clamped_, ElementsAre("x.scale 2 from 1 NaN"));
  // The first block row began in an earlier piece, which counted its scales.
  EXPECT_THAT(Read(Fp8(scale), 1, 2, kBlocksOfTwo), ElementsAre(1, 1, 0, 0, 0.5f, 4, 4, 1, 1, 0));
  EXPECT_THAT(clamped_, ElementsAre("x.scale 1 from 5 NaN"));
}

TEST_F(ClampTest, ABadFloatScaleMakesItsBlockZero) {
  const auto scale =
      MakeTensor<float>("x.weight_scale_inv", DType::kF32, {2, 3}, {1, kNan, 2, kInf, 3, 1});
  EXPECT_THAT(Read(Fp8(scale), 0, -1, kBlocksOfTwo), ElementsAre(1, 1, 0, 0, 2,  //
                                                                 1, 1, 0, 0, 2,  //
                                                                 0, 0, 3, 3, 1));
  EXPECT_THAT(clamped_, ElementsAre("x.weight_scale_inv 2 from 1 NaN"));
}

TEST_F(ClampTest, CodesThatAreNan) {
  std::vector<TestTensor> tensors =
      Fp8(MakeTensor<float>("x.weight_scale_inv", DType::kF32, {2, 3}, {1, 1, 1, 1, 1, 1}));
  tensors[0].bytes[4] = std::byte{0x7F};
  tensors[0].bytes[11] = std::byte{0xFF};
  EXPECT_THAT(Read(tensors, 0, -1, kBlocksOfTwo),
              ElementsAre(1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1));
  EXPECT_THAT(clamped_, ElementsAre("x.weight 2 from 4 NaN"));
}

TEST_F(ClampTest, FourBitBlocks) {
  const std::vector<uint8_t> packed(64, 0x22);  // all 1.0
  std::vector<float> values = Read({MakeTensor("x.weight", DType::kI8, {2, 32}, packed),
                                    MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {2, 2},
                                                        {kE8m0One, kE8m0Nan, kE8m0One, kE8m0One})});
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], i / 32 == 1 ? 0 : 1) << i;
  EXPECT_THAT(clamped_, ElementsAre("x.scale 1 from 1 NaN"));

  values = Read({MakeTensor("x.weight", DType::kU8, {2, 32}, packed),
                 MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {2, 4},
                                     {0x38, 0x38, 0x38, 0x38, 0x38, 0x38, 0xFF, 0x38}),
                 MakeTensor<float>("x.weight_scale_2", DType::kF32, {}, {1})});
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], i / 16 == 6 ? 0 : 1) << i;
  EXPECT_THAT(clamped_, ElementsAre("x.weight_scale 1 from 6 NaN"));
}

TEST_F(ClampTest, ABadGlobalScaleStaysAnError) {
  EXPECT_VERNIER_ERROR(
      Read({MakeTensor("x.weight", DType::kU8, {1, 16}, std::vector<uint8_t>(16, 0x22)),
            MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {1, 2}, {0x38, 0x38}),
            MakeTensor<float>("x.weight_scale_2", DType::kF32, {}, {kNan})}),
      ErrorCode::kBadWeightValue, "x.weight_scale_2: element 0 is NaN");
}

std::string DigestOf(const TestTensor& tensor) {
  Hasher hasher;
  hasher.Update(tensor.bytes);
  return hasher.Hex();
}

TEST_F(ClampTest, DigestsAreOfTheBytesInTheFile) {
  const TestTensor main =
      MakeTensor("x.weight", DType::kU8, {2, 32}, std::vector<uint8_t>(64, 0x22));
  const TestTensor scale = MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {2, 4},
                                               {0x38, 0x38, 0xFF, 0x38, 0x38, 0x38, 0x38, 0x38});
  const TestTensor global = MakeTensor<float>("x.weight_scale_2", DType::kF32, {}, {2});
  Read({main, scale, global});
  const std::map<std::string, std::string> expected = {{"x.weight", DigestOf(main)},
                                                       {"x.weight_scale", DigestOf(scale)},
                                                       {"x.weight_scale_2", DigestOf(global)}};
  EXPECT_EQ(digests_, expected);
}

TEST_F(ClampTest, OfSomeRowsThereIsNoDigest) {
  const std::vector<TestTensor> tensors = {
      MakeTensor<float>("x.weight", DType::kF32, {3, 2}, {1, 2, 3, 4, 5, 6})};
  Read(tensors, 0, 2);
  EXPECT_TRUE(digests_.empty());
  Read(tensors, 1, 2);
  EXPECT_TRUE(digests_.empty());
  Read(tensors);
  EXPECT_EQ(digests_["x.weight"], DigestOf(tensors[0]));
}

TEST_F(ClampTest, DigestsTakePiecesThatOverlap) {
  std::vector<uint8_t> bytes(10);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  const TempDir directory;
  const TestTensor tensor = MakeTensor("x", DType::kU8, {10}, bytes);
  ::vernier::testing::WriteCheckpoint(directory.path(), Json::object(), {tensor}, 1);
  const Checkpoint checkpoint = Checkpoint::Open(directory.path());
  Notes notes(checkpoint);
  TensorDigests digests(checkpoint, &notes);
  const std::span all = std::as_bytes(std::span(bytes));
  digests.Add(0, 0, all.subspan(0, 4));
  digests.Add(0, 0, all.subspan(0, 4));
  digests.Add(0, 2, all.subspan(2, 5));
  EXPECT_TRUE(notes.digests.empty());
  digests.Add(0, 5, all.subspan(5, 5));
  EXPECT_EQ(notes.digests["x"], DigestOf(tensor));
  // With a gap, and from the middle: nothing.
  notes.digests.clear();
  digests.Add(0, 5, all.subspan(5, 5));
  digests.Add(0, 0, all.subspan(0, 4));
  digests.Add(0, 6, all.subspan(6, 4));
  EXPECT_TRUE(notes.digests.empty());
}

}  // namespace
}  // namespace vernier::checkpoint
