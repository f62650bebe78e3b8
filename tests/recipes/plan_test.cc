#include "recipes/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "recipes/plan_shards.h"
#include "recipes/plan_summary.h"
#include "tests/recipes/test_recipes.h"

namespace vernier::recipes {
namespace {

using checkpoint::Role;
using ::vernier::testing::NameRule;
using ::vernier::testing::OpenTinyModel;
using ::vernier::testing::RecipeOf;
using ::vernier::testing::RoleRule;

constexpr size_t kLengthPrefix = 8;

class PlanTest : public ::testing::Test {
 protected:
  const WeightPlan& Of(const Plan& plan, std::string_view module) const {
    const checkpoint::LogicalWeight* weight = source_.layout.FindModule(module);
    EXPECT_NE(weight, nullptr) << module;
    return plan.weights.at(static_cast<size_t>(weight - source_.layout.weights.data()));
  }

  // Experts losslessly, attention by amax, one layer's attention kept.
  Plan MixedPlan() const {
    return MakePlan(source_, RecipeOf({RoleRule(Role::kRoutedExpert, ScaleMethod::kAuto),
                                       RoleRule(Role::kAttention, ScaleMethod::kAuto),
                                       NameRule("layers.1.attn.*", kKeep)}));
  }

  checkpoint::SourceModel source_ = OpenTinyModel();
};

TEST_F(PlanTest, NoRulesCarryEveryTensor) {
  const Plan plan = MakePlan(source_, RecipeOf({}));
  EXPECT_TRUE(plan.scale_groups.empty());
  EXPECT_TRUE(plan.observed_modules.empty());
  EXPECT_EQ(plan.tensor_bytes, source_.checkpoint.TensorBytes());
  size_t tensors = 0;
  for (const OutputShard& shard : plan.shards) tensors += shard.tensors.size();
  EXPECT_EQ(tensors, source_.checkpoint.tensors().size());
}

TEST_F(PlanTest, EverySourceTensorIsCarriedOrReplacedExactlyOnce) {
  const Plan plan = MixedPlan();
  std::map<size_t, int> carried;                     // by source tensor
  std::map<size_t, std::multiset<OutputPart>> made;  // by weight
  for (size_t s = 0; s < plan.shards.size(); ++s) {
    for (const OutputTensor& tensor : plan.shards[s].tensors) {
      if (tensor.part != OutputPart::kSourceBytes) {
        made[tensor.weight].insert(tensor.part);
        continue;
      }
      ++carried[tensor.source_tensor];
      const checkpoint::TensorLocation& from = source_.checkpoint.tensor(tensor.source_tensor);
      EXPECT_EQ(from.shard, s);
      EXPECT_EQ(from.info.name, tensor.info.name);
      EXPECT_EQ(from.info.shape, tensor.info.shape);
      EXPECT_EQ(from.info.dtype_name, tensor.info.dtype_name);
    }
  }
  const std::multiset<OutputPart> all_parts = {OutputPart::kCodes, OutputPart::kScale,
                                               OutputPart::kGlobalScale, OutputPart::kInputScale};
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const bool kept = plan.weights[i].format == kKeep;
    EXPECT_EQ(made[i], kept ? std::multiset<OutputPart>{} : all_parts);
    for (const size_t part : source_.layout.weights[i].Parts()) {
      EXPECT_EQ(carried[part], kept ? 1 : 0) << source_.checkpoint.tensor(part).info.name;
    }
  }
  EXPECT_EQ(carried.size(), source_.checkpoint.tensors().size());
}

TEST_F(PlanTest, ShardsAreTiledAndTheirHeadersSayTheSame) {
  const Plan plan = MixedPlan();
  ASSERT_EQ(plan.shards.size(), source_.checkpoint.shards().size());
  uint64_t tensor_bytes = 0;
  const std::vector<checkpoint::PlannedFile> files = PlannedFiles(plan);
  for (size_t s = 0; s < plan.shards.size(); ++s) {
    const OutputShard& shard = plan.shards[s];
    EXPECT_EQ(shard.file_name, source_.checkpoint.shards()[s].file_name);
    const std::string prefix = plan.container->Frame(source_, files, s).head;
    uint64_t position = prefix.size();
    for (const OutputTensor& tensor : shard.tensors) {
      EXPECT_EQ(tensor.info.begin, position) << tensor.info.name;
      position = tensor.info.end;
      tensor_bytes += tensor.info.Bytes();
    }
    EXPECT_EQ(position, shard.file_bytes);
    const checkpoint::SafetensorsHeader header = checkpoint::ParseSafetensorsHeader(
        std::string_view(prefix).substr(kLengthPrefix), shard.file_bytes, shard.file_name);
    EXPECT_EQ(header.metadata, source_.checkpoint.shards()[s].metadata);
    ASSERT_EQ(header.tensors.size(), shard.tensors.size());
    for (size_t i = 0; i < header.tensors.size(); ++i) {
      EXPECT_EQ(header.tensors[i].name, shard.tensors[i].info.name);
      EXPECT_EQ(header.tensors[i].begin, shard.tensors[i].info.begin);
    }
  }
  EXPECT_EQ(plan.tensor_bytes, tensor_bytes);
}

TEST_F(PlanTest, Nvfp4TensorsHaveTheirNamesDtypesAndShapes) {
  const Plan plan = MixedPlan();
  std::map<std::string, checkpoint::TensorInfo> by_name;
  for (const OutputShard& shard : plan.shards) {
    for (const OutputTensor& tensor : shard.tensors) by_name[tensor.info.name] = tensor.info;
  }
  // [512, 128] in FP8 blocks.
  const std::string module = "layers.0.attn.wq_b";
  EXPECT_EQ(by_name.at(module + ".weight").dtype, checkpoint::DType::kU8);
  EXPECT_EQ(by_name.at(module + ".weight").shape, (std::vector<int64_t>{512, 64}));
  EXPECT_EQ(by_name.at(module + ".weight_scale").dtype, checkpoint::DType::kF8E4M3);
  EXPECT_EQ(by_name.at(module + ".weight_scale").shape, (std::vector<int64_t>{512, 8}));
  for (const char* scalar : {".weight_scale_2", ".input_scale"}) {
    EXPECT_EQ(by_name.at(module + scalar).dtype, checkpoint::DType::kF32);
    EXPECT_TRUE(by_name.at(module + scalar).shape.empty());
  }
  EXPECT_FALSE(by_name.contains(module + ".scale"));
  EXPECT_TRUE(by_name.contains("layers.1.attn.wq_b.scale"));
}

TEST_F(PlanTest, TheLastMatchingRuleDecides) {
  const Plan plan = MixedPlan();
  EXPECT_EQ(Of(plan, "layers.0.attn.wq_b").rule, 1);
  EXPECT_EQ(Of(plan, "layers.1.attn.wq_b").rule, 2);
  EXPECT_EQ(Of(plan, "layers.1.attn.wq_b").format, kKeep);
  EXPECT_EQ(Of(plan, "head").rule, -1);

  const Plan reversed =
      MakePlan(source_, RecipeOf({NameRule("layers.1.attn.*", kKeep),
                                  RoleRule(Role::kAttention, ScaleMethod::kAuto)}));
  EXPECT_EQ(Of(reversed, "layers.1.attn.wq_b").format, formats::kNvfp4);
}

TEST_F(PlanTest, ASelectorOfRoleAndNameNeedsBoth) {
  Rule rule = RoleRule(Role::kRoutedExpert, ScaleMethod::kAuto);
  rule.name_glob = "layers.3.*";
  const Plan plan = MakePlan(source_, RecipeOf({rule}));
  EXPECT_EQ(Of(plan, "layers.3.ffn.experts.0.w1").format, formats::kNvfp4);
  EXPECT_EQ(Of(plan, "layers.3.attn.wq_a").format, kKeep);
  EXPECT_EQ(Of(plan, "layers.2.ffn.experts.0.w1").format, kKeep);
}

TEST_F(PlanTest, AutoIsLosslessForMxfp4AndMseForWhatIsCalibrated) {
  const Plan plan = MixedPlan();
  EXPECT_EQ(Of(plan, "layers.0.ffn.experts.5.w2").scale, ScaleMethod::kLossless);
  EXPECT_EQ(Of(plan, "layers.0.attn.wo_b").scale, ScaleMethod::kMse);
  Recipe constant = RecipeOf({RoleRule(Role::kAttention, ScaleMethod::kAuto)});
  constant.activations = ActivationScales::kConstant;
  constant.constant_input_scale = 1;
  EXPECT_EQ(Of(MakePlan(source_, constant), "layers.0.attn.wo_b").scale, ScaleMethod::kMax);
}

TEST_F(PlanTest, FusedWeightsShareAGroupAndOthersAreAlone) {
  const Plan plan = MixedPlan();
  const size_t gate = Of(plan, "layers.2.ffn.experts.1.w1").scale_group;
  EXPECT_EQ(gate, Of(plan, "layers.2.ffn.experts.1.w3").scale_group);
  EXPECT_NE(gate, Of(plan, "layers.2.ffn.experts.1.w2").scale_group);
  EXPECT_NE(gate, Of(plan, "layers.2.ffn.experts.2.w1").scale_group);
  EXPECT_EQ(Of(plan, "layers.2.attn.wq_a").scale_group, Of(plan, "layers.2.attn.wkv").scale_group);

  std::multiset<size_t> members;
  for (size_t g = 0; g < plan.scale_groups.size(); ++g) {
    for (const size_t weight : plan.scale_groups[g].weights) {
      EXPECT_EQ(plan.weights[weight].scale_group, g);
      EXPECT_EQ(plan.weights[weight].scale, plan.scale_groups[g].scale);
      members.insert(weight);
    }
  }
  EXPECT_EQ(members.size(), plan.observed_modules.size());
  EXPECT_EQ(std::set<size_t>(members.begin(), members.end()).size(), members.size());
}

TEST_F(PlanTest, ObservedModulesAreTheQuantisedOnesInLayoutOrder) {
  const Plan plan = MixedPlan();
  std::vector<std::string> expected;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format == formats::kNvfp4) {
      expected.push_back(source_.layout.weights[i].module);
    }
  }
  EXPECT_EQ(plan.observed_modules, expected);
  // 5 layers x 8 experts x 3, and 5 attention projections of 4 layers.
  EXPECT_EQ(plan.observed_modules.size(), 120u + 20u);
}

TEST_F(PlanTest, SummaryAddsUp) {
  const Plan plan = MixedPlan();
  const PlanSummary summary = SummarizePlan(source_, plan);
  EXPECT_EQ(summary.totals.source_tensors, source_.checkpoint.tensors().size());
  EXPECT_EQ(summary.totals.source_bytes, source_.checkpoint.TensorBytes());
  EXPECT_EQ(summary.totals.output_bytes, plan.tensor_bytes);
  uint64_t weights = 0, output_bytes = 0;
  for (const RoleSummary& row : summary.rows) {
    weights += row.weights;
    output_bytes += row.totals.output_bytes;
    if (row.action != "keep") continue;
    EXPECT_EQ(row.totals.source_bytes, row.totals.output_bytes);
  }
  EXPECT_EQ(weights, plan.weights.size());
  EXPECT_EQ(output_bytes, plan.tensor_bytes);
  // Attention stands twice: quantised, and kept in one layer.
  EXPECT_EQ(std::ranges::count(summary.rows, Role::kAttention, &RoleSummary::role), 2);
}

TEST_F(PlanTest, PassesReadWhatCalibrationAndExportNeed) {
  const DataPasses max = CountPasses(
      source_, MakePlan(source_, RecipeOf({RoleRule(Role::kRoutedExpert, ScaleMethod::kMax)})));
  const DataPasses none = CountPasses(source_, MakePlan(source_, RecipeOf({})));
  EXPECT_EQ(none.calibration, 0u);
  EXPECT_LT(max.calibration, source_.checkpoint.TensorBytes());
  EXPECT_EQ(none.quantisation, source_.checkpoint.TensorBytes());
}

}  // namespace
}  // namespace vernier::recipes
