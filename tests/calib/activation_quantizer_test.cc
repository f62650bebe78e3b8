// What a checkpoint says about its activations, and forward passes with replaced inputs.
#include "calib/activation_quantizer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "calib/layer_loop.h"
#include "calib/round_trip.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

using checkpoint::DType;
using testing::MakeTensor;

// Linear layers [4, 128] in many formats; values do not matter.
class ActivationFormatTest : public ::testing::Test {
 protected:
  using Bytes = std::vector<uint8_t>;
  using Floats = std::vector<float>;

  checkpoint::SourceModel Write(const std::vector<testing::TestTensor>& tensors) {
    testing::WriteCheckpoint(dir_.path() / "model", Json::object(), tensors, 1);
    return checkpoint::OpenAnySourceModel(dir_.path() / "model");
  }

  static void AddNvfp4(const std::string& module, std::vector<testing::TestTensor>* tensors) {
    tensors->push_back(MakeTensor(module + ".weight", DType::kU8, {4, 64}, Bytes(256)));
    tensors->push_back(MakeTensor(module + ".weight_scale", DType::kF8E4M3, {4, 8}, Bytes(32)));
    tensors->push_back(MakeTensor(module + ".weight_scale_2", DType::kF32, {}, Floats{1}));
  }
  static void AddFp8(const std::string& module, const std::vector<int64_t>& scale_shape,
                     std::vector<testing::TestTensor>* tensors) {
    tensors->push_back(MakeTensor(module + ".weight", DType::kF8E4M3, {4, 128}, Bytes(512)));
    const int64_t scales = scale_shape.empty() ? 1 : scale_shape[0];
    tensors->push_back(MakeTensor(module + ".weight_scale", DType::kF32, scale_shape,
                                  Floats(static_cast<size_t>(scales), 1.0f)));
  }

  testing::TempDir dir_;
};

TEST_F(ActivationFormatTest, FollowsTheWeight) {
  std::vector<testing::TestTensor> tensors = {
      MakeTensor("plain.weight", DType::kBF16, {4, 128}, std::vector<uint16_t>(512)),
      MakeTensor("packed.weight_packed", DType::kU8, {4, 64}, Bytes(256)),
      MakeTensor("packed.weight_scale", DType::kF8E4M3, {4, 8}, Bytes(32)),
      MakeTensor("packed.weight_global_scale", DType::kF32, {1}, Floats{2}),
      MakeTensor("packed.input_global_scale", DType::kF32, {1}, Floats{8}),
      MakeTensor("static.input_scale", DType::kF32, {}, Floats{0.5f}),
      MakeTensor("w4a4.input_scale", DType::kF32, {}, Floats{0.25f})};
  AddNvfp4("w4a4", &tensors);
  AddNvfp4("w4a16", &tensors);
  AddFp8("static", {}, &tensors);
  AddFp8("scaleless", {}, &tensors);
  AddFp8("rows", {4}, &tensors);
  const checkpoint::SourceModel model = Write(tensors);
  ActivationQuantizer quantizer(model);
  const auto expect = [&](const std::string& module, ActivationFormat format, float scale) {
    EXPECT_EQ(ActivationFormatName(quantizer.Of(module).format), ActivationFormatName(format))
        << module;
    EXPECT_EQ(quantizer.Of(module).scale, scale) << module;
  };
  expect("w4a4", ActivationFormat::kNvfp4, 0.25f);
  expect("packed", ActivationFormat::kNvfp4, 0.125f);  // its scale divides
  expect("w4a16", ActivationFormat::kUnquantized, 1);
  expect("plain", ActivationFormat::kUnquantized, 1);
  expect("static", ActivationFormat::kFp8Tensor, 0.5f);
  expect("scaleless", ActivationFormat::kNotEmulated, 1);
  expect("rows", ActivationFormat::kFp8Token, 1);

  const at::Tensor x = at::arange(0, 256, at::kFloat).view({2, 128}).sin();
  EXPECT_TRUE(at::equal(quantizer.Replace("w4a4", x), RoundTripNvfp4(x, 0.25f)));
  EXPECT_TRUE(at::equal(quantizer.Replace("static", x), RoundTripFp8(x, 0.5f)));
  EXPECT_TRUE(at::equal(quantizer.Replace("rows", x), RoundTripFp8Groups(x, 128, false)));
  for (const char* module : {"w4a16", "plain", "scaleless"}) {
    EXPECT_TRUE(quantizer.Replace(module, x).is_same(x)) << module;
  }
}

TEST_F(ActivationFormatTest, BlocksOfFp8GiveTheirGroupAndTheirKindOfScale) {
  const checkpoint::SourceModel tiny = checkpoint::OpenSourceModel(kTinyModel);
  ActivationQuantizer quantizer(tiny);
  const ActivationQuantization& attention = quantizer.Of("layers.0.attn.wq_a");
  EXPECT_EQ(ActivationFormatName(attention.format), "fp8-group");
  EXPECT_EQ(attention.group, 128);
  EXPECT_TRUE(attention.power_of_two) << "its scales are E8M0";
  EXPECT_VERNIER_ERROR(quantizer.Of("layers.0.attn.nothing"), ErrorCode::kMissingTensor, "nothing");
}

TEST_F(ActivationFormatTest, AnInputScaleThatIsNoScaleIsNamed) {
  for (const float bad : {0.0f, -1.0f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<testing::TestTensor> tensors = {
        MakeTensor("m.input_scale", DType::kF32, {}, Floats{bad})};
    AddNvfp4("m", &tensors);
    const checkpoint::SourceModel model = Write(tensors);
    EXPECT_VERNIER_ERROR(ActivationQuantizer(model).Of("m"), ErrorCode::kBadWeightValue,
                         "m.input_scale");
  }
}

// Engines have one input scale for each of the two products of a layer's experts.
class ExpertScaleTest : public ActivationFormatTest {
 protected:
  static std::string Module(int layer, int expert, const std::string& projection) {
    return "model.layers." + std::to_string(layer) + ".mlp.experts." + std::to_string(expert) +
           "." + projection;
  }

  // Of two layers of two experts: those of the first and of the second product, by expert.
  checkpoint::SourceModel Experts(const Floats& first, const Floats& second) {
    std::vector<testing::TestTensor> tensors;
    for (int layer = 0; layer < 2; ++layer) {
      for (int expert = 0; expert < 2; ++expert) {
        for (const char* projection : {"gate_proj", "up_proj", "down_proj"}) {
          const std::string module = Module(layer, expert, projection);
          const bool is_second = projection == std::string("down_proj");
          const float scale = (is_second ? second : first)[static_cast<size_t>(expert)];
          AddNvfp4(module, &tensors);
          tensors.push_back(
              MakeTensor(module + ".input_scale", DType::kF32, {}, Floats{scale + layer}));
        }
      }
    }
    return Write(tensors);
  }
};

TEST_F(ExpertScaleTest, IsTheLargestOfTheLayer) {
  const checkpoint::SourceModel model = Experts({0.125f, 0.1875f}, {0.75f, 0.5f});
  ActivationQuantizer largest(model), own(model, ExpertInputScale::kOwn);
  const auto expect = [&](int layer, int expert, const char* projection, float of_all,
                          float of_it) {
    const std::string module = Module(layer, expert, projection);
    EXPECT_EQ(largest.Of(module).scale, of_all) << module;
    EXPECT_EQ(own.Of(module).scale, of_it) << module;
  };
  expect(0, 0, "gate_proj", 0.1875f, 0.125f);
  expect(0, 0, "up_proj", 0.1875f, 0.125f);
  expect(0, 1, "up_proj", 0.1875f, 0.1875f);
  expect(0, 0, "down_proj", 0.75f, 0.75f);
  expect(0, 1, "down_proj", 0.75f, 0.5f);
  expect(1, 0, "gate_proj", 1.1875f, 1.125f);
  EXPECT_EQ(CountRaisedScales(model), 2 * 3);
  const at::Tensor x = at::arange(0, 128, at::kFloat).view({1, 128}).sin();
  const std::string raised = Module(0, 0, "gate_proj");
  EXPECT_FALSE(at::equal(largest.Replace(raised, x), own.Replace(raised, x)));
  EXPECT_TRUE(at::equal(largest.Replace(raised, x), RoundTripNvfp4(x, 0.1875f)));
}

TEST_F(ExpertScaleTest, ChangesNothingWhereAllAreEqual) {
  const checkpoint::SourceModel model = Experts({0.25f, 0.25f}, {0.5f, 0.5f});
  ActivationQuantizer largest(model), own(model, ExpertInputScale::kOwn);
  for (const char* projection : {"gate_proj", "down_proj"}) {
    const std::string module = Module(0, 1, projection);
    EXPECT_EQ(largest.Of(module).scale, own.Of(module).scale);
  }
  EXPECT_EQ(CountRaisedScales(model), 0);
}

// Turns every input of some modules into another direction.
class Turner final : public Tap {
 public:
  explicit Turner(std::string part) : part_(std::move(part)) {}
  at::Tensor Replace(std::string_view module, const at::Tensor& x) override {
    if (module.find(part_) == std::string_view::npos) return x;
    ++calls_;
    return x + at::roll(x, 1, -1);
  }
  int calls() const { return calls_; }

 private:
  std::string part_;
  int calls_ = 0;
};

class ReplacedInputTest : public ::testing::Test {
 protected:
  at::Tensor Run(Tap& tap, bool all_experts = false) {
    const LayerLoop loop(*model_.decoder, tokens_, at::kCPU, at::kFloat,
                         {.batch_size = 2, .experts_per_group = 8, .all_experts = all_experts});
    auto hidden = std::make_shared<SampleBuffer>(loop.MakeHiddenBuffer({}));
    loop.Embed(*hidden);
    LayerState state = loop.MakeState(2, hidden);
    NonFiniteGuard guard(tap);
    loop.RunLayer(2, state, guard, [](LayerState&) {});
    return state.part(LayerPart::kOut).Get(0, tokens_.samples).clone();
  }

  const TestModel model_{kTinyModel, at::kFloat};
  const datasets::CalibrationSet tokens_ = RandomTokens(3, 40, model_.decoder->VocabSize());
};

TEST_F(ReplacedInputTest, EveryLinearLayerRunsOnWhatItIsGiven) {
  Tap nobody;
  const at::Tensor plain = Run(nobody);
  for (const char* part :
       {".wq_a", ".attn.wq_b", ".wkv", ".wo_a", ".wo_b", "shared_experts.w1", "shared_experts.w2",
        "shared_experts.w3", ".experts.0.w1", ".experts.1.w2", ".experts.2.w3"}) {
    Turner turner(part);
    EXPECT_GT(RelativeError(Run(turner), plain), 1e-4) << part;
    EXPECT_GT(turner.calls(), 0) << part;
  }
  // It only chooses entries, and here perhaps the same ones.
  Turner indexer(".indexer.wq_b");
  Run(indexer);
  EXPECT_GT(indexer.calls(), 0);
}

TEST_F(ReplacedInputTest, HoldsWhereAllExpertsObserve) {
  Turner turner(".experts.");
  EXPECT_TRUE(at::equal(Run(turner, /*all_experts=*/false), Run(turner, /*all_experts=*/true)));
}

}  // namespace
}  // namespace vernier::calib
