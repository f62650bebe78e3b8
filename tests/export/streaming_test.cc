// How an export streams: what is read twice, what importance files may hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "checkpoint/source_model.h"
#include "export/file_importance.h"
#include "export/shard_jobs.h"
#include "export/weight_scales.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

using checkpoint::SourceModel;
using recipes::ScaleMethod;

class StreamingTest : public ExportFixture {};

// Whether groups are held or read twice, the bytes are the same.
TEST_F(StreamingTest, BytesDoNotDependOnMemory) {
  WriteSource();
  ExportTo(Output());
  const auto expected = ReadTree(Output());
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{20'000}}) {
    settings_.limits = LimitsOf(bytes);
    const fs::path output = Output().parent_path() / std::to_string(bytes);
    ExportTo(output);
    EXPECT_EQ(ReadTree(output), expected) << bytes;
  }
}

TEST_F(StreamingTest, GroupsAcrossShardsOrBeyondTheLimitAreResolvedFirst) {
  WriteSource({.shards = 1});
  const SourceModel whole = checkpoint::OpenSourceModel(Source());
  const recipes::Plan plan = recipes::MakePlan(whole, MakeRecipe(HybridRules()));
  EXPECT_TRUE(GroupsToResolve(whole, plan, {0}, LimitsOf(1 << 30)).empty());
  EXPECT_EQ(GroupsToResolve(whole, plan, {0}, LimitsOf(0)).size(), plan.scale_groups.size());
}

TEST_F(StreamingTest, EveryByteOfAShardHasAJob) {
  WriteSource();
  const SourceModel source = checkpoint::OpenSourceModel(Source());
  const recipes::Plan plan = recipes::MakePlan(source, MakeRecipe(FullRules()));
  for (const recipes::OutputShard& shard : plan.shards) {
    std::vector<uint64_t> written(shard.tensors.size());
    for (const ShardJob& job : CutShard(source, plan, shard, LimitsOf(1 << 30))) {
      if (const auto* copy = std::get_if<CopyWork>(&job.work)) {
        EXPECT_EQ(copy->offset, written[copy->tensor]);
        written[copy->tensor] += job.memory_bytes;
        continue;
      }
      for (const WeightRows& rows : std::get<EncodeWork>(job.work).rows) {
        const ConvertedTensors tensors = FindConverted(source, shard).at(rows.weight);
        const RowTarget target = TargetOf(plan, shard, rows.weight, tensors);
        const int64_t columns = source.layout.weights[rows.weight].columns();
        written[tensors.codes] += target.CodeBytes(rows.row_count, columns);
        written[tensors.scale] += target.ScaleBytes(rows.row_count, columns);
        if (rows.row_begin > 0) continue;
        for (const size_t scalar : {tensors.global_scale, tensors.input_scale}) {
          written[scalar] += sizeof(float);
        }
      }
    }
    for (size_t i = 0; i < written.size(); ++i) {
      EXPECT_EQ(written[i], shard.tensors[i].info.Bytes()) << shard.tensors[i].info.name;
    }
  }
}

class ImportanceTest : public StreamingTest {
 protected:
  // A file with one vector for a weight of 4 columns called "m".
  template <typename T>
  FileImportance Write(checkpoint::DType dtype, const std::vector<T>& values) {
    const fs::path path = Output().parent_path() / "importance.safetensors";
    testing::WriteSafetensors(
        path,
        {testing::MakeTensor("m.weight", dtype, {static_cast<int64_t>(values.size())}, values)});
    return FileImportance(path);
  }

  static checkpoint::LogicalWeight Weight(const std::string& module) {
    checkpoint::LogicalWeight weight;
    weight.module = module;
    weight.shape = {2, 4};
    return weight;
  }
};

TEST_F(ImportanceTest, FindsAVectorByModule) {
  const FileImportance importance = Write<float>(checkpoint::DType::kF32, {1, 0, 2, 0.5f});
  EXPECT_THAT(importance.Of(Weight("m")), ::testing::ElementsAre(1, 0, 2, 0.5f));
  EXPECT_TRUE(importance.Of(Weight("other")).empty());
  EXPECT_FALSE(importance.hash().empty());
  EXPECT_TRUE(Importance().Of(Weight("m")).empty());
}

TEST_F(ImportanceTest, RefusesWhatIsNoWeightPerColumn) {
  using checkpoint::DType;
  EXPECT_VERNIER_ERROR(Write<uint16_t>(DType::kBF16, {1, 2, 3, 4}), ErrorCode::kWrongDtype, "BF16");
  EXPECT_VERNIER_ERROR(Write<float>(DType::kF32, {1, 2, 3}).Of(Weight("m")), ErrorCode::kWrongShape,
                       "4 columns");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {-1.0f, nan, std::numeric_limits<float>::infinity()}) {
    EXPECT_VERNIER_ERROR(Write<float>(DType::kF32, {1, 2, bad, 4}).Of(Weight("m")),
                         ErrorCode::kBadWeightValue, "element 2");
  }
}

TEST_F(ImportanceTest, AVectorForNoSearchedWeightIsRefused) {
  WriteSource();
  const SourceModel source = checkpoint::OpenSourceModel(Source());
  const recipes::Plan plan = recipes::MakePlan(source, MakeRecipe(HybridRules()));
  EXPECT_VERNIER_ERROR(
      Write<float>(checkpoint::DType::kF32, {1, 2, 3, 4}).CountUses(source.layout, plan),
      ErrorCode::kBadRule, "m.weight");
  EXPECT_EQ(Importance().CountUses(source.layout, plan), 0);
}

}  // namespace
}  // namespace vernier::exporter
