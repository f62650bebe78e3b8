// FP8 parts of fused matrices as engines use them, against the formula value by value.
#include "calib/requantised_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "quantizers/float_formats.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_tensors.h"

namespace vernier::calib {
namespace {

using checkpoint::DType;
using testing::MakeTensor;
using testing::TestTensor;

constexpr int64_t kPartRows = 4, kPartColumns = 128;

// Every E4M3 code that is a number, in turn.
std::vector<uint8_t> AllCodes(size_t count) {
  std::vector<uint8_t> codes;
  for (size_t i = 0; i < count; ++i) {
    const auto code = static_cast<uint8_t>(i % 256);
    codes.push_back((code & 0x7F) == 0x7F ? uint8_t{0} : code);
  }
  return codes;
}

class RequantisedWeightsTest : public ::testing::Test {
 protected:
  // q, k, v and o of one layer with these weight scales.
  checkpoint::SourceModel Write(const std::vector<float>& scales) {
    std::vector<TestTensor> tensors;
    size_t i = 0;
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      const std::string module = Module(projection);
      tensors.push_back(MakeTensor(module + ".weight", DType::kF8E4M3, {kPartRows, kPartColumns},
                                   AllCodes(kPartRows * kPartColumns)));
      tensors.push_back(
          MakeTensor(module + ".weight_scale", DType::kF32, {}, std::vector<float>{scales[i++]}));
    }
    testing::WriteCheckpoint(dir_.path() / "model", Json::object(), tensors, 1);
    return checkpoint::OpenAnySourceModel(dir_.path() / "model");
  }
  static std::string Module(const std::string& projection) {
    return "model.layers.0.self_attn." + projection;
  }
  static const checkpoint::LogicalWeight& Weight(const checkpoint::SourceModel& model,
                                                 const std::string& projection) {
    return *model.layout.FindModule(Module(projection));
  }

  testing::TempDir dir_;
};

// As vLLM's requantize_with_max_scale: per_tensor_dequantize to F16, scaled_fp8_quant by the
// largest.
at::Tensor ByFormula(float own, float largest) {
  at::Tensor values = at::empty({kPartRows * kPartColumns}, at::kFloat);
  auto* value = values.data_ptr<float>();
  for (const uint8_t code : AllCodes(kPartRows * kPartColumns)) {
    const auto half = static_cast<c10::Half>(quantizers::E4m3ToFloat(code) * own);
    const float scaled = std::clamp(static_cast<float>(half) * (1.0f / largest), -448.0f, 448.0f);
    *value++ = quantizers::E4m3ToFloat(quantizers::FloatToE4m3(scaled)) * largest;
  }
  return values.view({kPartRows, kPartColumns});
}

TEST_F(RequantisedWeightsTest, PartsAreRoundedToTheLargestScale) {
  const float q = 0.01f, k = 0.017f, v = 0.003f;
  const checkpoint::SourceModel model = Write({q, k, v, 0.5f});
  RequantisedWeights weights(model);
  EXPECT_EQ(weights.count(), 3);
  EXPECT_FALSE(weights.Has(Weight(model, "o_proj"))) << "it is fused with nothing";
  const std::map<std::string, float> own = {{"q_proj", q}, {"k_proj", k}, {"v_proj", v}};
  for (const auto& [projection, scale] : own) {
    ASSERT_TRUE(weights.Has(Weight(model, projection)));
    const at::Tensor found = weights.Of(Weight(model, projection), at::kCPU);
    EXPECT_TRUE(at::equal(found, ByFormula(scale, k))) << projection;
    const bool changed = !at::equal(found, ByFormula(scale, scale));
    EXPECT_EQ(changed, scale != k) << projection;
  }
}

TEST_F(RequantisedWeightsTest, OneScaleForAllChangesNothing) {
  const checkpoint::SourceModel model = Write({0.01f, 0.01f, 0.01f, 0.02f});
  EXPECT_EQ(RequantisedWeights(model).count(), 0);
}

TEST_F(RequantisedWeightsTest, AScaleThatIsNoneIsLeftToTheDecoder) {
  const checkpoint::SourceModel model = Write({0.0f, 0.01f, 0.02f, 0.02f});
  EXPECT_EQ(RequantisedWeights(model).count(), 0);
}

// A forward pass loads them in place of the checkpoint's.
TEST_F(RequantisedWeightsTest, ALoaderTakesThem) {
  const checkpoint::SourceModel model = Write({0.01f, 0.017f, 0.003f, 0.5f});
  RequantisedWeights weights(model);
  TensorLoader loader(model, at::kCPU, at::kFloat);
  const std::string name = Module("q_proj") + ".weight";
  const at::Tensor before = loader.Load(name);
  const TensorLoader::Substituting substituting(loader, weights);
  EXPECT_TRUE(at::equal(loader.Load(name), ByFormula(0.01f, 0.017f)));
  EXPECT_FALSE(at::equal(loader.Load(name), before));
}

}  // namespace
}  // namespace vernier::calib
