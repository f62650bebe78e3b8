#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::MakeTensor;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;
using ::vernier::testing::WriteCheckpoint;
using ::vernier::testing::WriteSafetensors;

std::vector<TestTensor> TwoTensors() {
  return {MakeTensor<float>("a", DType::kF32, {2}, {1.0f, 2.0f}),
          MakeTensor<uint8_t>("b", DType::kU8, {3}, {7, 8, 9})};
}

class CheckpointTest : public ::testing::Test {
 protected:
  std::filesystem::path dir() const { return directory_.path(); }
  void WriteIndex(const std::string& json) { WriteFileAtomically(dir() / kIndexFileName, json); }
  static std::string ShardName(int i) {
    return "model-0000" + std::to_string(i) + "-of-00002.safetensors";
  }

 private:
  TempDir directory_;
};

TEST_F(CheckpointTest, ReadsTensorsFromShards) {
  WriteCheckpoint(dir(), {{"model_type", "m"}}, TwoTensors(), 2);
  const Checkpoint checkpoint = Checkpoint::Open(dir());
  EXPECT_EQ(checkpoint.config()["model_type"], "m");
  EXPECT_EQ(checkpoint.shards().size(), 2u);
  EXPECT_EQ(checkpoint.shards()[0].metadata.at("format"), "pt");
  EXPECT_EQ(checkpoint.TensorBytes(), 11u);
  EXPECT_EQ(checkpoint.index_total_size(), 11u);
  const size_t b = checkpoint.Find("b");
  ASSERT_NE(b, Checkpoint::kNotFound);
  EXPECT_EQ(checkpoint.tensor(b).shard, 1u);
  std::vector<uint8_t> bytes(2);
  checkpoint.Read(b, 1, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, (std::vector<uint8_t>{8, 9}));
  EXPECT_EQ(checkpoint.Find("c"), Checkpoint::kNotFound);
}

TEST_F(CheckpointTest, WithoutIndexTakesTheSingleFile) {
  WriteSafetensors(dir() / "anything.safetensors", TwoTensors());
  const Checkpoint checkpoint = Checkpoint::Open(dir());
  EXPECT_EQ(checkpoint.tensors().size(), 2u);
  EXPECT_TRUE(checkpoint.config().is_object());
  EXPECT_FALSE(checkpoint.index_total_size().has_value());
  // model.safetensors goes before other files.
  WriteSafetensors(dir() / kSingleFileName, {TwoTensors()[0]});
  EXPECT_EQ(Checkpoint::Open(dir()).tensors().size(), 1u);
}

TEST_F(CheckpointTest, NoCheckpoint) {
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir() / "absent"), ErrorCode::kNoCheckpoint, "absent");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kNoCheckpoint, "no *.safetensors file");
  WriteFileAtomically(dir() / "model.gguf", "GGUF");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kNoCheckpoint, "model.gguf");
}

TEST_F(CheckpointTest, WithoutIndexTakesAllFilesAsEnginesDo) {
  WriteSafetensors(dir() / "one.safetensors", {TwoTensors()[0]});
  WriteSafetensors(dir() / "two.safetensors", {TwoTensors()[1]});
  EXPECT_EQ(Checkpoint::Open(dir()).tensors().size(), 2u);
  WriteSafetensors(dir() / "three.safetensors", TwoTensors());
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadIndex, "holds tensor");
}

TEST_F(CheckpointTest, AFileOfMtpLayersBelongsToTheModel) {
  WriteSafetensors(dir() / kSingleFileName, {TwoTensors()[0]});
  WriteSafetensors(dir() / "mtp.safetensors", {TwoTensors()[1]});
  WriteSafetensors(dir() / "other.safetensors", TwoTensors());
  const Checkpoint checkpoint = Checkpoint::Open(dir());
  EXPECT_EQ(checkpoint.tensors().size(), 2u);
  EXPECT_EQ(checkpoint.left_out(), std::vector<std::string>{"other.safetensors"});
}

TEST_F(CheckpointTest, IndexAndShardsMustAgree) {
  WriteCheckpoint(dir(), Json::object(), TwoTensors(), 2);
  const std::string one = ShardName(1);
  const std::string two = ShardName(2);
  WriteIndex(R"({"weight_map":{"a":")" + one + R"("}})");
  EXPECT_EQ(Checkpoint::Open(dir()).tensors().size(), 1u);  // the second file belongs to nothing

  WriteIndex(R"({"weight_map":{"a":")" + one + R"(","b":")" + one + R"("}})");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadIndex, "does not hold");
  WriteIndex(R"({"weight_map":{"a":")" + two + R"(","b":")" + one + R"("}})");
  EXPECT_EQ(Checkpoint::Open(dir()).tensors().size(), 2u);  // each file says itself what it holds
  WriteIndex(R"({"weight_map":{"a":")" + one + R"(","c":")" + two + R"("}})");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadIndex, "does not hold");
  WriteSafetensors(dir() / two, TwoTensors());
  WriteIndex(R"({"weight_map":{"a":")" + one + R"(","b":")" + two + R"("}})");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadIndex, "twice");
}

TEST_F(CheckpointTest, MissingAndTruncatedShards) {
  WriteCheckpoint(dir(), Json::object(), TwoTensors(), 2);
  const auto shard = dir() / ShardName(2);
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 1);
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kTruncated, ShardName(2));
  std::filesystem::remove(shard);
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadIndex, ShardName(2));
}

// More shards than processors, and one that the index does not name: its damage is nobody's.
TEST_F(CheckpointTest, ManyShardsKeepTheirOrder) {
  constexpr int kShards = 300;
  std::vector<TestTensor> tensors;
  for (int i = 0; i < kShards; ++i) {
    tensors.push_back(MakeTensor<uint8_t>(std::to_string(i), DType::kU8, {1}, {7}));
  }
  WriteCheckpoint(dir(), Json::object(), tensors, kShards);
  WriteFileAtomically(dir() / "damaged.safetensors", "not a header");
  const Checkpoint checkpoint = Checkpoint::Open(dir());
  ASSERT_EQ(checkpoint.tensors().size(), static_cast<size_t>(kShards));
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(checkpoint.tensor(i).info.name, std::to_string(i));
    EXPECT_EQ(checkpoint.tensor(i).shard, i);
  }
  EXPECT_EQ(checkpoint.left_out(), std::vector<std::string>{"damaged.safetensors"});
}

TEST_F(CheckpointTest, ConfigMustBeAnObject) {
  WriteCheckpoint(dir(), Json::object(), TwoTensors(), 1);
  WriteFileAtomically(dir() / "config.json", "[]");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadConfig, "config.json");
  WriteFileAtomically(dir() / "config.json", "{");
  EXPECT_VERNIER_ERROR(Checkpoint::Open(dir()), ErrorCode::kBadJson, "config.json");
}

TEST_F(CheckpointTest, FingerprintFollowsConfigAndHeaders) {
  WriteCheckpoint(dir(), {{"a", 1}}, TwoTensors(), 2);
  const std::string original = Checkpoint::Open(dir()).fingerprint();
  EXPECT_EQ(Checkpoint::Open(dir()).fingerprint(), original);
  WriteCheckpoint(dir(), {{"a", 2}}, TwoTensors(), 2);
  EXPECT_NE(Checkpoint::Open(dir()).fingerprint(), original);
  std::vector<TestTensor> renamed = TwoTensors();
  renamed[1].spec.name = "c";
  WriteCheckpoint(dir(), {{"a", 1}}, renamed, 2);
  EXPECT_NE(Checkpoint::Open(dir()).fingerprint(), original);
}

TEST_F(CheckpointTest, CarriesBytesOfUnknownDtypes) {
  TestTensor opaque = MakeTensor<uint8_t>("o", DType::kOpaque, {4}, {1, 2, 3});
  opaque.spec.opaque_dtype_name = "F6_E2M3";
  opaque.spec.opaque_bytes = 3;
  WriteCheckpoint(dir(), Json::object(), {opaque}, 1);
  const Checkpoint checkpoint = Checkpoint::Open(dir());
  EXPECT_EQ(checkpoint.tensor(0).info.dtype_name, "F6_E2M3");
  std::vector<uint8_t> bytes(3);
  checkpoint.Read(0, 0, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, (std::vector<uint8_t>{1, 2, 3}));
}

}  // namespace
}  // namespace vernier::checkpoint
