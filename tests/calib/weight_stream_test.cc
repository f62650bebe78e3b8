// Weights arrive as their file has them, whatever the ring, the order of asking and changes of
// mind.
#include "calib/weight_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "base/hash.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;

class Digests final : public checkpoint::ReadObserver {
 public:
  void OnDigest(size_t tensor, const std::string& digest) override {
    const std::lock_guard lock(mutex_);
    digests[tensor] = digest;
  }
  void OnClamped(const checkpoint::ClampedElements&) override {}

  std::map<size_t, std::string> digests;

 private:
  std::mutex mutex_;
};

class WeightStreamTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
    for (const LogicalWeight& weight : source_.layout.weights) {
      if (weight.layer >= 0 && weight.format != checkpoint::formats::kInteger) {
        weights_.push_back(&weight);
      }
    }
  }

  std::vector<std::byte> Stored(size_t tensor) const {
    std::vector<std::byte> bytes(source_.checkpoint.tensor(tensor).info.Bytes());
    source_.checkpoint.Read(tensor, 0, bytes);
    return bytes;
  }

  void ExpectBytes(const at::Tensor& taken, size_t tensor) const {
    const std::vector<std::byte> stored = Stored(tensor);
    const at::Tensor host = taken.cpu();
    ASSERT_EQ(host.nbytes(), stored.size());
    EXPECT_EQ(std::memcmp(host.data_ptr(), stored.data(), stored.size()), 0)
        << source_.checkpoint.tensor(tensor).info.name;
  }

  void TakeAndCompare(WeightStream& stream, const LogicalWeight& weight) const {
    const StoredWeight stored = stream.Take(weight);
    ExpectBytes(stored.main, weight.main);
    EXPECT_EQ(stored.scale.defined(), weight.scale != checkpoint::Checkpoint::kNotFound);
    if (stored.scale.defined()) ExpectBytes(stored.scale, weight.scale);
  }

  const checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(kTinyModel);
  std::vector<const LogicalWeight*> weights_;
  // Every weight is in several pieces, and the ring holds few of them.
  const WeightStreamOptions small_ = {
      .ring_bytes = 1, .ahead_bytes = 2000, .piece_bytes = 1000, .readers = 3};
};

TEST_P(WeightStreamTest, BringsEveryWeightInOrder) {
  Digests observer;
  WeightStream stream(source_.checkpoint, &observer, GetParam(), small_);
  stream.Expect(weights_);
  for (const LogicalWeight* weight : weights_) {
    EXPECT_TRUE(stream.Expects(*weight));
    TakeAndCompare(stream, *weight);
    EXPECT_FALSE(stream.Expects(*weight));
  }
  for (const LogicalWeight* weight : weights_) {
    for (const size_t tensor : {weight->main, weight->scale}) {
      if (tensor == checkpoint::Checkpoint::kNotFound) continue;
      Hasher hasher;
      hasher.Update(Stored(tensor));
      EXPECT_EQ(observer.digests[tensor], hasher.Hex());
    }
  }
}

TEST_P(WeightStreamTest, BringsThemInAnyOrder) {
  WeightStream stream(source_.checkpoint, nullptr, GetParam(), small_);
  stream.Expect(weights_);
  std::ranges::reverse(weights_);
  for (const LogicalWeight* weight : weights_) TakeAndCompare(stream, *weight);
}

TEST_P(WeightStreamTest, WhatIsNotExpectedAnyMoreMakesWay) {
  WeightStream stream(source_.checkpoint, nullptr, GetParam(), small_);
  stream.Expect(weights_);
  TakeAndCompare(stream, *weights_.front());
  // Every third of the rest, and one that was taken.
  std::vector<const LogicalWeight*> fewer = {weights_.front()};
  for (size_t i = 2; i < weights_.size(); i += 3) fewer.push_back(weights_[i]);
  stream.Expect(fewer);
  EXPECT_FALSE(stream.Expects(*weights_[1]));
  for (const LogicalWeight* weight : fewer) TakeAndCompare(stream, *weight);
  // And all again.
  stream.Expect(weights_);
  for (const LogicalWeight* weight : weights_) TakeAndCompare(stream, *weight);
}

TEST_P(WeightStreamTest, EndsWhileReadersAreAtWork) {
  for (int i = 0; i < 20; ++i) {
    WeightStream stream(source_.checkpoint, nullptr, GetParam(), small_);
    stream.Expect(weights_);
    if (i % 2 == 0) stream.Take(*weights_[static_cast<size_t>(i)]);
  }
}

TEST_P(WeightStreamTest, AReadThatFailsFailsWhereTheWeightIsTaken) {
  const testing::TempDir dir;
  std::filesystem::copy(kTinyModel, dir.path() / "model");
  const checkpoint::SourceModel damaged = checkpoint::OpenSourceModel(dir.path() / "model");
  std::vector<const LogicalWeight*> all;
  for (const LogicalWeight& weight : damaged.layout.weights) {
    if (weight.layer >= 0 && weight.format != checkpoint::formats::kInteger) {
      all.push_back(&weight);
    }
  }
  const auto last = *std::ranges::max_element(all, {}, &LogicalWeight::main);
  const checkpoint::TensorLocation& location = damaged.checkpoint.tensor(last->main);
  std::filesystem::resize_file(damaged.checkpoint.ShardPaths()[location.shard],
                               location.info.begin + 1);
  WeightStream stream(damaged.checkpoint, nullptr, GetParam(), small_);
  stream.Expect(all);
  EXPECT_VERNIER_ERROR(stream.Take(*last), ErrorCode::kFileRead, "too early");
  EXPECT_FALSE(stream.Expects(*last));
}

INSTANTIATE_TEST_SUITE_P(Devices, WeightStreamTest, ::testing::ValuesIn(kTestDevices),
                         [](const auto& info) { return DeviceName(info.param); });

}  // namespace
}  // namespace vernier::calib
