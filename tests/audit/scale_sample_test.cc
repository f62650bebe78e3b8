// Reading scales alone: what their bytes say, samples of them, and pieces of files.
#include "audit/scale_sample.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "audit/byte_scan.h"
#include "tests/audit/audit_test_base.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;

TEST(ByteScan, EveryScaleCodeCountsWhereItBelongs) {
  std::vector<std::byte> scales, nibbles;
  for (int code = 0; code < 256; ++code) {
    scales.push_back(std::byte(code));
    const int first = code == 0 ? 0x10 : 0x80;  // a value; only a sign
    for (int i = 0; i < 8; ++i) nibbles.push_back(std::byte(i == 0 ? first : 0));
  }
  const ScaleFacts facts = ScanBlocks(scales, nibbles);
  EXPECT_EQ(facts.blocks.blocks, 256);
  EXPECT_EQ(facts.nan_or_negative, 129);
  EXPECT_EQ(facts.lost_blocks, 1);
  EXPECT_EQ(facts.blocks.zero_blocks, 255);
  EXPECT_EQ(facts.blocks.at_maximum, 1);
  for (const int64_t count : facts.blocks.by_exponent) EXPECT_EQ(count, 16);
}

TEST(ByteScan, FindsWhatIsNotFiniteInEveryDtype) {
  const std::vector<std::byte> bytes(10000, std::byte{0xFF});
  EXPECT_EQ(CountNotFinite(DType::kBF16, bytes), 5000);
  EXPECT_EQ(CountNotFinite(DType::kF16, bytes), 5000);
  EXPECT_EQ(CountNotFinite(DType::kF32, bytes), 2500);
  EXPECT_EQ(CountNotFinite(DType::kF8E4M3, bytes), 10000);
  EXPECT_EQ(CountNotFinite(DType::kU8, bytes), 0);
}

class ScaleSampleTest : public AuditTest {
 protected:
  Subject Open() const {
    FindingList findings;
    return *OpenSubject(Directory(), &findings);
  }
  static uint64_t BytesOf(const std::vector<TensorPiece>& pieces) {
    uint64_t bytes = 0;
    for (const TensorPiece& piece : pieces) bytes += piece.end - piece.begin;
    return bytes;
  }
};

TEST_F(ScaleSampleTest, SmallCheckpointsAreReadWhole) {
  const AuditReport report = Audit(MakeNvfp4Model(Native()));
  EXPECT_GT(report.scale_bytes, 0u);
  EXPECT_EQ(report.scale_bytes_read, report.scale_bytes);
}

TEST_F(ScaleSampleTest, StaysWithinItsBudgetAndReachesTheWholeTensor) {
  constexpr int64_t kRows = 1024, kScales = 512;  // 512 KiB of scales
  std::vector<testing::TestTensor> tensors;
  for (const std::string name : {"a.up_proj", "a.down_proj", "a.gate_proj"}) {
    tensors.push_back(MakeTensor(name + ".weight", DType::kU8, {kRows, kScales * 8},
                                 std::vector<uint8_t>(kRows * kScales * 8)));
    tensors.push_back(MakeTensor(name + ".weight_scale", DType::kF8E4M3, {kRows, kScales},
                                 std::vector<uint8_t>(kRows * kScales, 0x38)));
  }
  testing::WriteCheckpoint(Directory(), {{"model_type", "none"}}, tensors, 2);
  const Subject subject = Open();
  ASSERT_EQ(BlockScaleBytes(subject), 3u * 512 * 1024);
  EXPECT_EQ(BytesOf(SampleBlockScales(subject)), 3u * 512 * 1024);
  constexpr uint64_t kBudget = 100 * 1024;
  const std::vector<TensorPiece> pieces = SampleBlockScales(subject, kBudget);
  EXPECT_LE(BytesOf(pieces), kBudget);
  EXPECT_GT(BytesOf(pieces), kBudget * 9 / 10);
  std::map<size_t, std::vector<TensorPiece>> by_tensor;
  for (const TensorPiece& piece : pieces) by_tensor[piece.tensor].push_back(piece);
  EXPECT_EQ(by_tensor.size(), 3u);
  for (const auto& [tensor, parts] : by_tensor) {
    EXPECT_EQ(parts.front().begin, 0u);
    EXPECT_GT(parts.back().begin, 3u * 512 * 1024 / 4);
  }
  EXPECT_EQ(SampleBlockScales(subject, 4096).size(), 1u);
}

TEST_F(ScaleSampleTest, PiecesHaveTheirBytesWhateverTheirOrder) {
  std::vector<uint8_t> first(100'000), second(3'000'000);
  for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<uint8_t>(i * 7);
  for (size_t i = 0; i < second.size(); ++i) second[i] = static_cast<uint8_t>(i / 1000);
  testing::WriteCheckpoint(Directory(), {{"model_type", "none"}},
                           {MakeTensor("a", DType::kU8, {100'000}, first),
                            MakeTensor("b", DType::kU8, {3'000'000}, second)},
                           1);
  const Subject subject = Open();
  const size_t a = subject.checkpoint.Find("a"), b = subject.checkpoint.Find("b");
  const std::vector<TensorPiece> pieces = {{b, 2'999'999, 3'000'000},
                                           {a, 5, 9},
                                           {b, 0, 1'000'000},
                                           {a, 60'000, 60'000},
                                           {b, 900'000, 900'004}};
  size_t visited = 0;
  ForEachPiece(subject.checkpoint, pieces,
               [&](const TensorPiece& piece, std::span<const std::byte> bytes) {
                 ++visited;
                 const std::vector<uint8_t>& all = piece.tensor == a ? first : second;
                 ASSERT_EQ(bytes.size(), piece.end - piece.begin);
                 EXPECT_EQ(std::memcmp(bytes.data(), all.data() + piece.begin, bytes.size()), 0);
               });
  EXPECT_EQ(visited, pieces.size());
}

}  // namespace
}  // namespace vernier::audit
