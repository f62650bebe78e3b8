// Values and bytes of exported tensors.
#include "export/exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"
#include "tests/support/squared_error.h"

namespace vernier::exporter {
namespace {

using checkpoint::Checkpoint;
using checkpoint::DType;
using checkpoint::LogicalWeight;
using checkpoint::Role;
namespace formats = checkpoint::formats;
using recipes::ScaleMethod;

using ExporterTest = ExportFixture;

// The fixture's purpose: some expert's w1 and w3 are in different files.
bool PartsAnExpert(const checkpoint::SourceModel& source) {
  return std::ranges::any_of(source.layout.weights, [&](const LogicalWeight& w1) {
    if (w1.role != Role::kRoutedExpert || !w1.module.ends_with(".w1")) return false;
    const std::string w3 = w1.module.substr(0, w1.module.size() - 1) + "3";
    return source.checkpoint.tensor(w1.main).shard !=
           source.checkpoint.tensor(source.layout.FindModule(w3)->main).shard;
  });
}

TEST_F(ExporterTest, LosslessCastKeepsEveryValueOfEveryExpert) {
  WriteSource();
  const ExportSummary summary = Export();
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const checkpoint::SourceModel output = checkpoint::OpenSourceModel(Output());
  int64_t experts = 0, blocks = 0;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (weight.role != Role::kRoutedExpert) continue;
    ++experts;
    blocks += weight.rows() * weight.columns() / 32;
    EXPECT_EQ(output.layout.FindModule(weight.module)->format, formats::kNvfp4);
    EXPECT_EQ(ReadValues(source, weight.module), ReadValues(output, weight.module))
        << weight.module;
  }
  EXPECT_EQ(experts, 4 * 8 * 3);
  EXPECT_EQ(summary.cast.blocks, blocks);
  EXPECT_EQ(summary.cast.requantised, 0);
  EXPECT_EQ(summary.cast.inexact, 0);
}

TEST_F(ExporterTest, LosslessCastOfTheReferenceModelIsExact) {
  std::filesystem::copy(std::filesystem::path(VERNIER_TEST_DATA) / "models" / "tiny-deepseek-v4",
                        Source());
  const ExportSummary summary = Export();
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const checkpoint::SourceModel output = checkpoint::OpenSourceModel(Output());
  for (const LogicalWeight& weight : source.layout.weights) {
    if (weight.role != Role::kRoutedExpert) continue;
    EXPECT_EQ(ReadValues(source, weight.module), ReadValues(output, weight.module))
        << weight.module;
  }
  EXPECT_GT(summary.cast.blocks, 0);
  EXPECT_EQ(summary.cast.inexact, 0);
}

TEST_F(ExporterTest, WritesTheNamesTypesAndShapesThatEnginesRead) {
  WriteSource();
  Export();
  const Checkpoint output = Checkpoint::Open(Output());
  const std::string expert = "layers.1.ffn.experts.2.w2";  // [128, 64]
  const auto info = [&](const std::string& suffix) {
    return output.tensor(output.Find(expert + suffix)).info;
  };
  EXPECT_EQ(info(".weight").dtype, DType::kU8);
  EXPECT_THAT(info(".weight").shape, ::testing::ElementsAre(128, 32));
  EXPECT_EQ(info(".weight_scale").dtype, DType::kF8E4M3);
  EXPECT_THAT(info(".weight_scale").shape, ::testing::ElementsAre(128, 4));
  EXPECT_EQ(info(".weight_scale_2").dtype, DType::kF32);
  EXPECT_THAT(info(".weight_scale_2").shape, ::testing::IsEmpty());
  EXPECT_EQ(info(".input_scale").dtype, DType::kF32);
  EXPECT_THAT(info(".input_scale").shape, ::testing::IsEmpty());
  EXPECT_EQ(output.Find(expert + ".scale"), Checkpoint::kNotFound);
}

TEST_F(ExporterTest, FusedPairsShareBothScalarsAcrossShards) {
  WriteSource();
  // One expert's w3 has a much larger exponent than its w1.
  Overwrite("layers.0.ffn.experts.1.w3.scale", 0, {140});
  ASSERT_TRUE(PartsAnExpert(checkpoint::OpenSourceModel(Source())));
  Export();
  const Checkpoint output = Checkpoint::Open(Output());
  std::set<float> input_scales;
  for (int layer = 0; layer < 4; ++layer) {
    for (int expert = 0; expert < 8; ++expert) {
      const std::string prefix =
          "layers." + std::to_string(layer) + ".ffn.experts." + std::to_string(expert);
      for (const std::string scalar : {".weight_scale_2", ".input_scale"}) {
        EXPECT_EQ(ReadScalar(output, prefix + ".w1" + scalar),
                  ReadScalar(output, prefix + ".w3" + scalar))
            << prefix << scalar;
      }
      input_scales.insert(ReadScalar(output, prefix + ".w2.input_scale"));
    }
  }
  EXPECT_EQ(input_scales.size(), 4u * 8u);  // every expert has its own
  EXPECT_EQ(ReadScalar(output, "layers.0.ffn.experts.1.w1.weight_scale_2"),
            std::exp2(140 - 127 - 8));
}

TEST_F(ExporterTest, InputScaleIsAmaxOfTheGroupOver2688) {
  WriteSource();
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  inputs_ = Calibrated(recipes::MakePlan(source, MakeRecipe(HybridRules())));
  std::map<std::string, float> amax;
  for (const run::InputAmax& input : inputs_) amax[input.module] = input.amax;
  Export();
  const Checkpoint output = Checkpoint::Open(Output());
  const std::string expert = "layers.2.ffn.experts.5";
  EXPECT_EQ(ReadScalar(output, expert + ".w2.input_scale"), amax[expert + ".w2"] / 2688.0f);
  EXPECT_EQ(ReadScalar(output, expert + ".w1.input_scale"),
            std::max(amax[expert + ".w1"], amax[expert + ".w3"]) / 2688.0f);
}

TEST_F(ExporterTest, CarriesEverythingElseByteForByte) {
  WriteSource();
  const ExportSummary summary = Export();
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const Checkpoint output = Checkpoint::Open(Output());
  int64_t carried = 0;
  bool mtp = false;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (weight.role == Role::kRoutedExpert) continue;
    mtp |= weight.role == Role::kMtp;
    for (const size_t part : weight.Parts()) {
      const checkpoint::TensorInfo& info = source.checkpoint.tensor(part).info;
      const checkpoint::TensorInfo& copy = output.tensor(output.Find(info.name)).info;
      EXPECT_EQ(copy.dtype, info.dtype);
      EXPECT_EQ(copy.shape, info.shape);
      EXPECT_EQ(ReadTensor(output, info.name), ReadTensor(source.checkpoint, info.name))
          << info.name;
      ++carried;
    }
  }
  EXPECT_TRUE(mtp);
  EXPECT_EQ(summary.carried_tensors, carried);
  EXPECT_EQ(summary.converted_tensors, 2 * 4 * 8 * 3);
  EXPECT_EQ(summary.dropped_tensors, 0);
  EXPECT_EQ(summary.output_tensors, carried + 4 * 4 * 8 * 3);
  EXPECT_EQ(static_cast<uint64_t>(summary.output_tensors), output.tensors().size());
  EXPECT_EQ(summary.output_tensor_bytes, output.TensorBytes());
  EXPECT_EQ(summary.source_tensor_bytes, source.checkpoint.TensorBytes());
}

TEST_F(ExporterTest, RequantisesByAmaxAsThePublishedFormulaSays) {
  WriteSource();
  ExportTo(Output(), HybridRules(ScaleMethod::kMax));
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const Checkpoint output = Checkpoint::Open(Output());
  const std::string expert = "layers.3.ffn.experts.7";
  float amax = 0;
  for (const std::string projection : {".w1", ".w3"}) {
    for (const float value : ReadValues(source, expert + projection)) {
      amax = std::max(amax, std::fabs(value));
    }
  }
  const float global_scale = amax / 2688.0f;
  EXPECT_EQ(ReadScalar(output, expert + ".w1.weight_scale_2"), global_scale);
  EXPECT_EQ(ReadScalar(output, expert + ".w3.weight_scale_2"), global_scale);

  // One block by hand.
  const std::vector<float> values = ReadValues(source, expert + ".w3");
  float block_amax = 0;
  for (int i = 0; i < 16; ++i) block_amax = std::max(block_amax, std::fabs(values[i]));
  const uint8_t scale = quantizers::FloatToE4m3(
      std::clamp(block_amax / (6.0f * global_scale), quantizers::kE4m3MinPositive, 448.0f));
  EXPECT_EQ(ReadTensor(output, expert + ".w3.weight_scale")[0], std::byte{scale});
  const std::vector<std::byte> packed = ReadTensor(output, expert + ".w3.weight");
  for (int i = 0; i < 16; ++i) {
    const uint8_t code =
        quantizers::FloatToE2m1(values[i] / (quantizers::E4m3ToFloat(scale) * global_scale));
    EXPECT_EQ((std::to_integer<int>(packed[i / 2]) >> (i % 2 * 4)) & 0xF, code) << i;
  }
}

TEST_F(ExporterTest, QuantisesFp8ProjectionsWithinTheFormatsError) {
  WriteSource();
  ExportTo(Output(), FullRules());
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const checkpoint::SourceModel output = checkpoint::OpenSourceModel(Output());
  for (const std::string module :
       {"layers.2.attn.wq_a", "layers.2.attn.wo_b", "layers.0.ffn.shared_experts.w2"}) {
    const double relative = std::sqrt(
        testing::SquaredErrorOf(ReadValues(source, module), ReadValues(output, module)).Relative());
    EXPECT_GT(relative, 0.001) << module;
    EXPECT_LT(relative, 0.12) << module;
  }
  const Checkpoint& written = output.checkpoint;
  for (const std::string scalar : {".weight_scale_2", ".input_scale"}) {
    EXPECT_EQ(ReadScalar(written, "layers.2.attn.wq_a" + scalar),
              ReadScalar(written, "layers.2.attn.wkv" + scalar));
  }
}

TEST_F(ExporterTest, CountsBlocksThatTheCastMustReencode) {
  WriteSource();
  // 30 powers of two below the rest, non-zero: below what an E4M3 scale reaches.
  Overwrite("layers.0.ffn.experts.0.w2.scale", 0, {90});
  Overwrite("layers.0.ffn.experts.0.w2.weight", 0, std::vector<uint8_t>(16, 0x77));
  const ExportSummary summary = Export();
  EXPECT_EQ(summary.cast.requantised, 1);
  EXPECT_EQ(summary.cast.inexact, 1);
}

TEST_F(ExporterTest, CutsLargeTensorsWithoutChangingThem) {
  // embed.weight has 16.8 MB: two chunks and a part. An expert's w1 has 2^22 values: two chunks.
  WriteSource({.layers = 1,
               .experts = 3,
               .hidden = 2048,
               .moe_width = 2112,
               .vocab = 4096,
               .mtp_layers = 0,
               .shards = 3});
  Export();
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const checkpoint::SourceModel output = checkpoint::OpenSourceModel(Output());
  EXPECT_EQ(ReadTensor(source.checkpoint, "embed.weight"),
            ReadTensor(output.checkpoint, "embed.weight"));
  for (const std::string module : {"layers.0.ffn.experts.2.w1", "layers.0.ffn.experts.0.w2"}) {
    EXPECT_EQ(ReadValues(source, module), ReadValues(output, module));
  }
}

TEST_F(ExporterTest, BytesDoNotDependOnThreads) {
  WriteSource();
  std::filesystem::create_directories(Output().parent_path());
  const auto exported = [&](const char* name, int threads) {
    const std::filesystem::path output = Output().parent_path() / name;
    ExportTo(output, FullRules(), threads);
    return ReadTree(output);
  };
  const auto one = exported("one", 1);
  EXPECT_GE(one.size(), 7u + 4u);
  EXPECT_EQ(one, exported("four", 4));
  EXPECT_EQ(one, exported("twelve", 12));
}

TEST_F(ExporterTest, NamesABadWeightValue) {
  WriteSource();
  Overwrite("layers.1.ffn.experts.3.w1.scale", 5, {0xFF});
  EXPECT_VERNIER_ERROR(Export(), ErrorCode::kBadWeightValue, "layers.1.ffn.experts.3.w1.scale");
  EXPECT_VERNIER_ERROR(ExportTo(Output().parent_path() / "max", HybridRules(ScaleMethod::kMax)),
                       ErrorCode::kBadWeightValue, "layers.1.ffn.experts.3.w1");
}

TEST_F(ExporterTest, NeedsAFinishedCalibration) {
  WriteSource();
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const recipes::Recipe recipe = MakeRecipe(HybridRules());
  const recipes::Plan plan = recipes::MakePlan(source, recipe);
  run::Store store = run::Store::Open(RunDir());
  Progress progress = Progress::Silent();
  EXPECT_VERNIER_ERROR(exporter::Export({.source = source,
                                         .plan = plan,
                                         .recipe = recipe,
                                         .inputs = Calibrated(plan),
                                         .store = store,
                                         .output = Output(),
                                         .settings = {},
                                         .progress = progress}),
                       ErrorCode::kNotCalibrated, "not finished");
  EXPECT_FALSE(std::filesystem::exists(Output()));
}

TEST_F(ExporterTest, APlanThatKeepsEverythingNeedsNoCalibration) {
  WriteSource();
  std::vector<recipes::Rule> keep = {{.roles = {Role::kRoutedExpert}, .name_glob = ""}};
  const ExportSummary summary = ExportTo(Output(), keep);
  const Checkpoint source = Checkpoint::Open(Source()), output = Checkpoint::Open(Output());
  for (const checkpoint::TensorLocation& tensor : source.tensors()) {
    EXPECT_EQ(ReadTensor(source, tensor.info.name), ReadTensor(output, tensor.info.name));
  }
  EXPECT_EQ(summary.carried_tensors, static_cast<int64_t>(source.tensors().size()));
  EXPECT_EQ(output.config(), source.config());
  EXPECT_FALSE(std::filesystem::exists(Output() / "hf_quant_config.json"));
}

}  // namespace
}  // namespace vernier::exporter
