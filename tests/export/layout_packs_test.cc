// Kernel-layout packs, read back through the inverse permutations.
#include "export/layout_packs.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "checkpoint/safetensors.h"
#include "checkpoint/weight_decoder.h"
#include "quantizers/float_formats.h"
#include "quantizers/kernel_layouts.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

constexpr int64_t kHidden = 256;
constexpr int64_t kWidth = 128;

class LayoutPacksTest : public ExportFixture {
 protected:
  LayoutPacksTest() {
    WriteSource({.layers = 2, .experts = 3, .hidden = kHidden, .moe_width = kWidth, .shards = 2});
    Export();
  }

  SourceModel Exported() const { return checkpoint::OpenSourceModel(Output()); }

  static fs::path PackPath(const SourceModel& model, const char* layout) {
    return model.checkpoint.directory() / "kernel_layouts" / layout / "layer-00001.safetensors";
  }

  // Bytes of one tensor of a pack, and its description.
  static std::vector<uint8_t> Read(const fs::path& path, const std::string& name,
                                   checkpoint::TensorInfo* info) {
    const testing::FileTensor tensor = testing::ReadFileTensor(path, name);
    *info = tensor.info;
    return tensor.As<uint8_t>();
  }

  static std::vector<uint8_t> Scales(const SourceModel& model, const std::string& module) {
    std::vector<uint8_t> scales;
    for (const std::byte byte : ReadTensor(model.checkpoint, module + ".weight_scale")) {
      scales.push_back(std::to_integer<uint8_t>(byte));
    }
    return scales;
  }
};

TEST_F(LayoutPacksTest, SwizzledScalesUnswizzleToTheCheckpoints) {
  const SourceModel model = Exported();
  EXPECT_EQ(WriteLayoutPacks(model, KernelLayout::kSwizzle128x4, Progress::Silent()).files, 2);
  int compared = 0;
  for (const LogicalWeight& weight : model.layout.weights) {
    if (weight.layer != 1 || weight.format != checkpoint::formats::kNvfp4) continue;
    checkpoint::TensorInfo info;
    const std::vector<uint8_t> swizzled =
        Read(PackPath(model, "swizzle-128x4"), weight.module + ".weight_scale", &info);
    const std::vector<uint8_t> expected = Scales(model, weight.module);
    EXPECT_EQ(info.shape, (std::vector<int64_t>{(weight.rows() + 127) / 128 * 128,
                                                (weight.columns() / 16 + 3) / 4 * 4}));
    std::vector<uint8_t> scales(expected.size());
    quantizers::UnswizzleScales(quantizers::ScaleSwizzle::k128x4, swizzled, weight.columns() / 16,
                                scales);
    EXPECT_EQ(scales, expected) << weight.module;
    ++compared;
  }
  EXPECT_EQ(compared, 3 * 3);
}

TEST_F(LayoutPacksTest, MegaMoeHoldsEveryExpertsScalesFolded) {
  const SourceModel model = Exported();
  const PackSummary summary = WriteLayoutPacks(model, KernelLayout::kMegaMoe, Progress::Silent());
  EXPECT_EQ(summary.files, 2);
  EXPECT_EQ(summary.fold.scales, 2 * 3 * 3 * kHidden * kWidth / 16);
  EXPECT_EQ(summary.fold.inexact, 0);  // a lossless cast has powers of two only

  const fs::path pack = PackPath(model, "mega-moe");
  const std::string prefix = "layers.1.ffn.experts.";
  checkpoint::TensorInfo info;
  const std::vector<uint8_t> factor_bytes = Read(pack, prefix + "l1_factor", &info);
  float factor = 0;
  std::memcpy(&factor, factor_bytes.data(), sizeof factor);
  const std::vector<uint8_t> packed = Read(pack, prefix + "l1_scale", &info);
  EXPECT_EQ(info.shape, (std::vector<int64_t>{3, kHidden / 64, 2 * kWidth}));

  const size_t expert_bytes = 2 * kWidth * kHidden / 16;
  for (size_t expert = 0; expert < 3; ++expert) {
    std::vector<uint8_t> interleaved(expert_bytes);
    quantizers::UnpackMegaMoeScales(std::span(packed).subspan(expert * expert_bytes, expert_bytes),
                                    kHidden / 16, interleaved);
    std::vector<int64_t> rows(2 * kWidth);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = quantizers::GateUpInterleaveSource(static_cast<int64_t>(i), 2 * kWidth);
    }
    std::vector<uint8_t> folded(expert_bytes);
    quantizers::ScatterRows(interleaved, rows, folded);

    std::vector<float> expected;
    for (const char* leaf : {"w1", "w3"}) {
      const std::string module = prefix + std::to_string(expert) + "." + leaf;
      const float global = ReadGlobalScale(model.checkpoint, *model.layout.FindModule(module));
      for (const uint8_t scale : Scales(model, module)) {
        expected.push_back(quantizers::E4m3ToFloat(scale) * global * factor);
      }
    }
    std::vector<float> got;
    for (const uint8_t scale : folded) got.push_back(quantizers::E4m3ToFloat(scale));
    EXPECT_EQ(got, expected) << expert;
  }
}

TEST_F(LayoutPacksTest, ACheckpointWithoutNvfp4HasNoLayouts) {
  const SourceModel source = checkpoint::OpenSourceModel(Source());
  for (const KernelLayout layout : {KernelLayout::kSwizzle128x4, KernelLayout::kMegaMoe}) {
    EXPECT_VERNIER_ERROR(WriteLayoutPacks(source, layout, Progress::Silent()), ErrorCode::kBadRule,
                         "no NVFP4");
  }
  EXPECT_VERNIER_ERROR(KernelLayoutFromName("origami"), ErrorCode::kBadArgument, "mega-moe");
}

class NarrowLayoutTest : public ExportFixture {};

TEST_F(NarrowLayoutTest, ShapesThatDoNotFitAreNamed) {
  WriteSource({.layers = 2, .experts = 3, .hidden = 128, .moe_width = 32, .shards = 1});
  Export();
  const SourceModel model = checkpoint::OpenSourceModel(Output());
  EXPECT_VERNIER_ERROR(WriteLayoutPacks(model, KernelLayout::kMegaMoe, Progress::Silent()),
                       ErrorCode::kBadRule, "[32, 128]");
}

}  // namespace
}  // namespace vernier::exporter
