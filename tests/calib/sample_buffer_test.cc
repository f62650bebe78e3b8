#include "calib/sample_buffer.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

class SampleBufferTest : public ::testing::TestWithParam<bool> {
 protected:
  SampleBuffer Make(const std::string& name) {
    if (!GetParam()) return SampleBuffer::InMemory(5, {2, 3}, at::kBFloat16);
    return SampleBuffer::InFile(dir_.path() / name, 5, {2, 3}, at::kBFloat16);
  }

  testing::TempDir dir_;
};

TEST_P(SampleBufferTest, GivesBackWhatWasPutCastToItsDtype) {
  SampleBuffer buffer = Make("a");
  EXPECT_EQ(buffer.Bytes(), 5u * 6 * 2);
  EXPECT_EQ(buffer.in_file(), GetParam());
  buffer.Put(0, at::zeros({5, 2, 3}));
  const at::Tensor values = at::arange(12, at::kFloat).view({2, 2, 3}) / 3;
  buffer.Put(2, values);
  EXPECT_TRUE(at::equal(buffer.Get(2, 2), values.to(at::kBFloat16)));
  EXPECT_TRUE(at::equal(buffer.Get(4, 1), at::zeros({1, 2, 3}, at::kBFloat16)));
}

TEST_P(SampleBufferTest, HashesAreOfTheSamplesAskedFor) {
  SampleBuffer buffer = Make("a"), copy = Make("b");
  buffer.Put(0, at::rand({5, 2, 3}));
  copy.CopyFrom(buffer, 0, 5);
  EXPECT_EQ(copy.Hash(0, 5), buffer.Hash(0, 5));
  copy.Put(3, at::full({1, 2, 3}, 7.0));
  EXPECT_NE(copy.Hash(0, 5), buffer.Hash(0, 5));
  EXPECT_EQ(copy.Hash(0, 3), buffer.Hash(0, 3));
  EXPECT_EQ(copy.Hash(4, 1), buffer.Hash(4, 1));
  EXPECT_NE(buffer.Hash(0, 3), buffer.Hash(1, 3));
}

TEST_P(SampleBufferTest, SavedSamplesLieAtTheirPlacesInTheFile) {
  SampleBuffer buffer = Make("a");
  buffer.Put(0, at::rand({5, 2, 3}));
  buffer.SaveTo(dir_.path() / "a", 0, 2);
  buffer.SaveTo(dir_.path() / "a", 2, 3);
  const SampleBuffer opened = buffer.OpenSame(dir_.path() / "a");
  EXPECT_TRUE(at::equal(opened.Get(0, 5), buffer.Get(0, 5)));
  EXPECT_EQ(opened.Hash(1, 4), buffer.Hash(1, 4));
}

INSTANTIATE_TEST_SUITE_P(Places, SampleBufferTest, ::testing::Bool(),
                         [](const auto& in_file) { return in_file.param ? "InFile" : "InMemory"; });

TEST(SampleBufferFileTest, AFileOfAnotherSizeIsRefused) {
  const testing::TempDir dir;
  WriteFileAtomically(dir.path() / "short", "abc");
  EXPECT_VERNIER_ERROR(SampleBuffer::OpenFile(dir.path() / "short", 5, {2, 3}, at::kFloat),
                       ErrorCode::kTruncated, "3 bytes instead of 120");
}

}  // namespace
}  // namespace vernier::calib
