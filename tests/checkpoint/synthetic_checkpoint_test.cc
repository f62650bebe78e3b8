// The checkpoints that other tests run on must themselves be right.
#include "tests/support/synthetic_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "base/file.h"
#include "checkpoint/source_model.h"
#include "tests/support/read_tensor.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::ReadWeight;
using ::vernier::testing::SyntheticOptions;
using ::vernier::testing::TempDir;
using ::vernier::testing::WriteSyntheticDeepseekV4;

void ExpectSound(const SourceModel& source) {
  for (const std::string& name : source.family->RequiredTensors()) {
    EXPECT_NE(source.checkpoint.Find(name), Checkpoint::kNotFound) << name;
  }
  for (const LogicalWeight& weight : source.layout.weights) {
    EXPECT_NE(weight.role, Role::kOther) << weight.name;
    if (weight.format == formats::kInteger) continue;
    float largest = 0;
    for (const float value : ReadWeight(source.checkpoint, weight)) {  // throws on NaN
      largest = std::max(largest, std::abs(value));
    }
    EXPECT_GT(largest, 0.0f) << weight.name;
    EXPECT_LT(largest, 8.0f) << weight.name;
  }
}

TEST(SyntheticDeepseekV4, IsSoundForAnyLayerCount) {
  for (const int64_t layers : {1, 2, 3, 7}) {
    const TempDir directory;
    SyntheticOptions options;
    options.layers = layers;
    options.shards = static_cast<int>(layers);
    options.mtp_layers = layers % 2;
    WriteSyntheticDeepseekV4(directory.path(), options);
    const SourceModel source = OpenSourceModel(directory.path());
    EXPECT_EQ(source.family->Dims().layers, layers);
    EXPECT_EQ(source.checkpoint.shards().size(), static_cast<size_t>(layers));
    ExpectSound(source);
  }
}

// Names with their numbers replaced, and dtypes: the kinds of tensors of a checkpoint.
std::set<std::string> Kinds(const Checkpoint& checkpoint) {
  std::set<std::string> kinds;
  for (const TensorLocation& location : checkpoint.tensors()) {
    std::string kind;
    for (const char c : location.info.name) kind += c >= '0' && c <= '9' ? '#' : c;
    kinds.insert(kind + " " + location.info.dtype_name);
  }
  return kinds;
}

TEST(SyntheticDeepseekV4, HasTheInventoryOfThePublishedLayout) {
  const TempDir directory;
  WriteSyntheticDeepseekV4(directory.path(), {});
  const std::filesystem::path tiny =
      std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-deepseek-v4";
  EXPECT_EQ(Kinds(Checkpoint::Open(directory.path())), Kinds(Checkpoint::Open(tiny)));
}

TEST(SyntheticDeepseekV4, SameSeedSameBytes) {
  const TempDir one;
  const TempDir two;
  const TempDir other;
  SyntheticOptions options;
  options.layers = 2;
  options.shards = 1;
  WriteSyntheticDeepseekV4(one.path(), options);
  WriteSyntheticDeepseekV4(two.path(), options);
  options.seed = 2;
  WriteSyntheticDeepseekV4(other.path(), options);
  const std::string bytes = ReadWholeFile(one.path() / kSingleFileName);
  EXPECT_EQ(bytes, ReadWholeFile(two.path() / kSingleFileName));
  EXPECT_NE(bytes, ReadWholeFile(other.path() / kSingleFileName));
}

}  // namespace
}  // namespace vernier::checkpoint
